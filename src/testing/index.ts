/**
 * For tests: of applications with sessions (an agent, a clock), and of stores, transports, protections and adapters
 * (conformance kits, as data that any test runner can run).
 *
 * @module
 */
export { adapterCases } from "./adapter-cases.ts";
export type {
  AdapterAnswer,
  AdapterCase,
  AdapterContext,
  AdapterRoute,
  AdapterServer,
  AdapterUnderTest,
  NodePair,
} from "./adapter-kit.ts";
export { fakeClock, type FakeClock } from "./fake-clock.ts";
export { nodeAdapterCases } from "./node-adapter-cases.ts";
export { protectionCases, type MakeProtection, type ProtectionCase } from "./protection-cases.ts";
export { sessionAgent, type AgentCookie, type AgentTarget, type SessionAgent } from "./session-agent.ts";
export { storeCases, type StoreCapability, type StoreCase } from "./store-cases.ts";
export {
  cookieClient,
  headerClient,
  transportCases,
  type MakeTransport,
  type TransportCase,
  type TransportClient,
  type TransportSubject,
} from "./transport-cases.ts";
