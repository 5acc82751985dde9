/**
 * For tests: of applications with sessions (an agent, a clock), and of stores, transports, protections and adapters
 * (conformance kits, as data that any test runner can run).
 *
 * @module
 */
export { cookieClient, headerClient, transportCases } from "./transport-cases.ts";
export type { MakeTransport, TransportCase, TransportClient, TransportSubject } from "./transport-cases.ts";
export { fakeClock, type FakeClock } from "./fake-clock.ts";
export { sessionAgent, type AgentCookie, type AgentTarget, type SessionAgent } from "./session-agent.ts";
