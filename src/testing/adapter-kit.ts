/**
 * What the cases of the adapter kit are made of: the contract with an adapter under test, a client, a store that can be
 * looked into.
 *
 * @module
 */
import { defineSession } from "../define-session.ts";
import type { SessionDefinition, SessionOptions } from "../definition.ts";
import type { MaybePromise } from "../internal/maybe-promise.ts";
import type { InstalledDefinition } from "../session/exchange.ts";
import type { SessionRequest } from "../session/request.ts";
import type { SessionStore, StoredRecord } from "../store/store.ts";
import { sessionAgent, type SessionAgent } from "./session-agent.ts";

/** What a handler answers. */
export interface AdapterAnswer {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** A text; or chunks, each to be sent when it is there. Default none. */
  readonly body?: string | AsyncIterable<string>;
}

/** What a handler of the kit is given; to be made of whatever the framework gives its handlers. */
export interface AdapterContext {
  /** What an app would hand to `definition.from`. */
  readonly request: SessionRequest;
  /** Answers in the framework's own way. The handler returns what this returns. */
  respond(answer: AdapterAnswer): unknown;
  /** Settles when the client has gone away. */
  gone(): Promise<unknown>;
  /** Where the framework is built on them: Node's own objects. */
  readonly node?: NodePair;
}

/** Node's own objects, for the cases of `nodeAdapterCases`; typed by those cases. */
export interface NodePair {
  readonly req: object;
  readonly res: object;
}

/** One path of the app under test, for every method. */
export interface AdapterRoute {
  readonly path: string;
  /** Definitions that are installed for this route, besides those of the app. */
  readonly definitions?: readonly InstalledDefinition[];
  /** For frameworks on Node: middleware that runs between the sessions of the app and the handler. */
  readonly before?: (node: NodePair) => void;
  /** May throw, or return a promise that rejects. */
  handle(context: AdapterContext): unknown;
}

/** A running app. */
export interface AdapterServer {
  /** Such as `http://localhost:12345`. The host must be a loopback name unless the scheme is https. */
  readonly origin: string;
  /** How to send a request to it. Default: over a socket to the origin, by HTTP/1.1. */
  fetch?(request: Request): Promise<Response>;
  close(): MaybePromise<unknown>;
}

/**
 * Starts an app on a free port: the routes, with the definitions installed for all of them. Rejects with what installing
 * throws. A rejected or thrown error of a handler goes where errors go in this framework.
 */
export type AdapterUnderTest = (
  routes: readonly AdapterRoute[],
  ...definitions: readonly InstalledDefinition[]
) => MaybePromise<AdapterServer>;

/** One sentence about what users of an adapter get. */
export interface AdapterCase {
  readonly name: string;
  /** Rejects with an `Error` that says what is wrong when the adapter does not keep to the sentence. */
  run(make: AdapterUnderTest): Promise<void>;
}

/** The data of the kit's sessions. */
export interface KitData {
  readonly count?: number;
  readonly name?: string;
}

/** What a case does with a running app. */
export interface KitClient {
  /** A browser without cookies. */
  agent(): SessionAgent;
  /** One request without cookies. */
  get(path: string, init?: RequestInit): Promise<Response>;
}

/** Runs an app for the time of a test. */
export async function serving(
  make: AdapterUnderTest,
  routes: readonly AdapterRoute[],
  definitions: readonly InstalledDefinition[],
  test: (client: KitClient) => Promise<void>,
): Promise<void> {
  const server = await make(routes, ...definitions);
  const send = async (request: Request): Promise<Response> => {
    const { pathname, search } = new URL(request.url);
    const moved = new Request(new URL(pathname + search, server.origin), request);
    if (server.fetch !== undefined) return await server.fetch(moved);
    const { wireFetch } = await import("./wire-fetch.ts");
    return await wireFetch(moved);
  };
  try {
    const agent = (): SessionAgent => sessionAgent(send);
    await test({ agent, get: (path, init) => agent().fetch(path, init) });
  } finally {
    await server.close();
  }
}

/** A store in memory that counts its calls, and fails, hangs or dawdles when told. */
export interface KitStore extends SessionStore {
  readonly records: Map<string, StoredRecord>;
  /** The verbs that were called, in order. */
  readonly calls: string[];
  /** Runs before each verb; what it throws is what the verb throws. */
  before: ((verb: string) => MaybePromise<unknown>) | undefined;
}

/** Makes a {@link KitStore} that answers at once. */
export function kitStore(before?: KitStore["before"]): KitStore {
  const records = new Map<string, StoredRecord>();
  const calls: string[] = [];
  const doing = <T>(verb: string, work: () => T): MaybePromise<T> => {
    calls.push(verb);
    const waiting = store.before?.(verb);
    return waiting instanceof Promise ? waiting.then(work) : work();
  };
  const store: KitStore = {
    records,
    calls,
    before,
    create: (key, record) => doing("create", () => !records.has(key) && records.set(key, record).has(key)),
    read: (key) => doing("read", () => records.get(key)),
    update: (key, record, base) =>
      doing("update", () => {
        const stored = records.get(key);
        if (stored === undefined) return "gone";
        if (stored.version !== base.version) return "conflict";
        records.set(key, record);
        return "ok";
      }),
    touch: (key) => doing("touch", () => records.has(key)),
    delete: (key) => doing("delete", () => records.delete(key)),
  };
  return store;
}

/** A store that answers by promises, a turn of the event loop later. */
export function slowStore(): KitStore {
  return kitStore(() => turn());
}

/** Makes verbs fail from now on. */
export function breakStore(store: KitStore, ...verbs: readonly string[]): void {
  store.before = async (verb) => {
    await turn();
    if (verbs.includes(verb)) throw new Error("the database is away");
  };
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 0));
}

/** Defines a session of the kit. */
export function kitSession(store: SessionStore, options: Partial<SessionOptions> = {}): SessionDefinition<KitData> {
  return defineSession<KitData>({ name: "user", store, ...options, schema: undefined });
}

/** A promise to be resolved from outside. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** Makes a {@link Gate}. */
export function gate(): Gate {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

/** The simplest route: it counts its visits in the session and answers with the count. */
export function counting(definition: SessionDefinition<KitData>, path = "/count"): AdapterRoute {
  return {
    path,
    async handle({ request, respond }) {
      const session = await definition.from(request);
      session.update((data) => ({ count: (data?.count ?? 0) + 1 }));
      return respond({ body: String(session.data?.count) });
    },
  };
}

/** A route that shows the session and changes nothing. */
export function showing(definition: SessionDefinition<KitData>, path = "/show"): AdapterRoute {
  return {
    path,
    async handle({ request, respond }) {
      const { data, subject, isNew } = await definition.from(request);
      return respond({ body: JSON.stringify({ ...data, subject, isNew }) });
    },
  };
}

/** What {@link showing} shows. */
export async function shown(agent: SessionAgent, path = "/show"): Promise<Record<string, unknown>> {
  return (await (await agent.fetch(path)).json()) as Record<string, unknown>;
}

/** Throws unless a condition holds. */
export function ensure(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** Throws unless two values are the same JSON. */
export function same(actual: unknown, expected: unknown, what: string): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  ensure(found === wanted, `${what}: expected ${wanted}, got ${found}`);
}

/** Throws unless a response is the answer to a failing store: 503, not to be cached, nothing of what the handler prepared. */
export async function sameAsUnavailable(response: Response): Promise<void> {
  same(response.status, 503, "status");
  same(response.headers.get("cache-control"), "no-store", "Cache-Control");
  same(response.headers.getSetCookie(), [], "Set-Cookie");
  same(response.headers.get("x-handler"), null, "X-Handler");
  ensure(!(await response.text()).includes("handler"), "the handler's body must not go out");
}
