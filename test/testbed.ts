/**
 * A browser without a network, for tests of the protocol: a request *arrives*, is *answered*, and its answer is *delivered*,
 * each when the test says so. So responses can be slow, lost or overtaken.
 */
import { isPromise, type MaybePromise } from "../src/internal/maybe-promise.ts";
import {
  EXCHANGE,
  Exchange,
  type CommitOutcome,
  type ExchangeHooks,
  type InstalledDefinition,
} from "../src/session/exchange.ts";
import {
  defineSession,
  type FromOptions,
  type Session,
  type SessionDefinition,
  type SessionEvent,
  type SessionOptions,
  type SessionStore,
  type StoredRecord,
} from "../src/index.ts";
import { encodeBase64url } from "../src/internal/base64url.ts";
import { memoryStore } from "../src/store/memory.ts";
import { fakeClock } from "../src/testing/fake-clock.ts";
import type { HeaderEdit, RequestView } from "../src/transport/transport.ts";

/** How a request comes. */
export interface Arrival extends ExchangeHooks {
  readonly headers?: Readonly<Record<string, string>>;
  readonly secure?: boolean;
  readonly certificate?: string;
  readonly url?: string;
  readonly method?: string;
}

/** A request on its way through the server. */
export class Visit {
  readonly exchange: Exchange;
  edits: readonly HeaderEdit[] = [];
  readonly #request: object;
  readonly #browser: Browser;

  constructor(
    browser: Browser,
    definitions: readonly InstalledDefinition[],
    { headers = {}, secure = true, certificate, url = "/", method = "GET", ...hooks }: Arrival,
  ) {
    const all: Record<string, string> = { host: "shop.example", cookie: browser.cookieHeader(), ...headers };
    const view: RequestView = {
      header: (name) => (all[name] === "" ? undefined : all[name]),
      method,
      url,
      secure,
      peer: undefined,
      certificate,
    };
    this.#browser = browser;
    this.exchange = new Exchange(
      view,
      definitions.map(({ manager }) => manager),
      hooks,
    );
    this.#request = { headers: {}, [EXCHANGE]: this.exchange };
  }

  /** What the handler does first. */
  async from<D extends object>(definition: SessionDefinition<D>, options?: FromOptions): Promise<Session<D>> {
    return await definition.from(this.#request as never, options);
  }

  /** The response begins: commits. Nothing has reached the browser yet. */
  async answer(options: { failed?: boolean } = {}): Promise<this> {
    try {
      this.edits = await this.exchange.commit({ failed: options.failed ?? false });
    } finally {
      this.exchange.close();
    }
    return this;
  }

  /** The response reaches the browser. */
  deliver(): this {
    for (const cookie of this.setCookies) this.#browser.keep(cookie);
    return this;
  }

  get setCookies(): string[] {
    return this.edits.filter(({ name }) => name === "Set-Cookie").map(({ value }) => value);
  }
}

/** A browser with its cookies. */
export class Browser {
  readonly jar: Map<string, string> = new Map();
  readonly #definitions: readonly InstalledDefinition[];

  constructor(...definitions: readonly InstalledDefinition[]) {
    this.#definitions = definitions;
  }

  /** A request arrives at a server (of the given definitions, else the browser's own). */
  arrive(arrival: Arrival = {}, definitions: readonly InstalledDefinition[] = this.#definitions): Visit {
    return new Visit(this, definitions, arrival);
  }

  /** A whole request: it arrives, the handler runs, the answer is delivered. Returns what the handler returned. */
  async visit<D extends object, Result>(
    definition: SessionDefinition<D>,
    handler: (session: Session<D>) => MaybePromise<Result>,
    arrival: Arrival = {},
  ): Promise<Result> {
    const visit = this.arrive(arrival, [definition]);
    const session = await visit.from(definition);
    const returned = handler(session);
    const result = isPromise(returned) ? await returned : returned;
    (await visit.answer()).deliver();
    return result as Result;
  }

  /** Another browser with the same cookies. */
  clone(): Browser {
    const copy = new Browser(...this.#definitions);
    for (const [name, value] of this.jar) copy.jar.set(name, value);
    return copy;
  }

  cookieHeader(): string {
    return [...this.jar].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  keep(setCookie: string): void {
    const [pair = "", ...attributes] = setCookie.split(/; ?/);
    const at = pair.indexOf("=");
    if (attributes.some((attribute) => attribute.toLowerCase() === "max-age=0")) this.jar.delete(pair.slice(0, at));
    else this.jar.set(pair.slice(0, at), pair.slice(at + 1));
  }
}

/** A store that counts its calls and can be made to wait, fail or interfere. */
export interface Instrumented extends SessionStore {
  readonly calls: string[];
  /** Called before a verb is passed on; may throw, or return a promise to wait for. */
  before: (verb: Verb, key: string) => MaybePromise<void> | undefined;
  /** Called after a verb was done; may throw, so that the answer is lost, or return a promise to wait for. */
  after: (verb: Verb, key: string) => MaybePromise<void> | undefined;
}

/** The five verbs of a store. */
export type Verb = "create" | "read" | "update" | "touch" | "delete";

/** Wraps a store, whose own promises and synchrony are kept unless a hook waits. */
export function instrumented(store: SessionStore, extra: Partial<SessionStore> = {}): Instrumented {
  const calls: string[] = [];
  const through = (verb: Verb) =>
    ((key: string, ...rest: unknown[]) => {
      calls.push(verb);
      const go = (): unknown => (store[verb] as (...args: unknown[]) => unknown)(key, ...rest);
      const finish = (answer: unknown): unknown => {
        const waiting = wrapped.after(verb, key);
        return isPromise(waiting) ? waiting.then(() => answer) : answer;
      };
      const finishing = (answer: unknown): unknown => (isPromise(answer) ? answer.then(finish) : finish(answer));
      const waiting = wrapped.before(verb, key);
      return isPromise(waiting) ? waiting.then(() => finishing(go())) : finishing(go());
    }) as never;
  const wrapped: Instrumented = {
    ...optionalMembers(store),
    ...extra,
    calls,
    before: () => undefined,
    after: () => undefined,
    create: through("create"),
    read: through("read"),
    update: through("update"),
    touch: through("touch"),
    delete: through("delete"),
  };
  return wrapped;
}

function optionalMembers(store: SessionStore): Partial<SessionStore> {
  const { name, cached, returnsSame, listBySubject, list, count, deleteBySubject, deleteExpired, onExpired } = store;
  const all = { name, cached, returnsSame, listBySubject, list, count, deleteBySubject, deleteExpired, onExpired };
  return Object.fromEntries(
    Object.entries(all)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, typeof value === "function" ? value.bind(store) : value]),
  );
}

/** All events of a definition, as `type` or `type:reason`. */
export function eventsOf(definition: {
  manager: { on(type: "*", listener: (event: SessionEvent) => void): () => void };
}): string[] {
  const seen: string[] = [];
  definition.manager.on("*", ({ type, reason }) => seen.push(reason === undefined ? type : `${type}:${reason}`));
  return seen;
}

/** A promise and what settles it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

export type { CommitOutcome };

// --- a shop and its visitor ------------------------------------------------------------------------------------------------

/** The data of the tests' sessions. */
export interface Data {
  visits?: number;
  cart?: string[];
  name?: string;
  theme?: string;
}

export const SECOND: number = 1000;
export const MINUTE: number = 60 * SECOND;
export const HOUR: number = 60 * MINUTE;
export const COOKIE: string = "__Host-Http-user";
/** A key that is fit for use. */
export const KEY: string = encodeBase64url(new Uint8Array(32).map((_, index) => (index * 37 + 11) % 256));

/** One process. */
export interface Setup {
  clock: ReturnType<typeof fakeClock>;
  store: Instrumented;
  user: SessionDefinition<Data>;
  browser: Browser;
  events: string[];
}

export function setup(options: Partial<SessionOptions> = {}): Setup {
  const clock = fakeClock();
  const store = instrumented(memoryStore({ clock }));
  const user = defineSession<Data>({ name: "user", store, clock, ...options, schema: undefined });
  return { clock, store, user, browser: new Browser(user), events: eventsOf(user) };
}

/** Another process: the same definition over the same store. */
export function second({ clock, store }: Setup, options: Partial<SessionOptions> = {}): SessionDefinition<Data> {
  return defineSession<Data>({ name: "user", store, clock, ...options, schema: undefined });
}

export async function signIn({ browser, user }: Setup, subject = "ada"): Promise<void> {
  await browser.visit(user, (session) => session.authenticate(subject));
}

/** Signs in, lets the renewal fall due and makes the request that is offered the next secret. */
export async function renewed(it: Setup): Promise<{ old: Browser }> {
  await signIn(it);
  it.clock.advance(16 * MINUTE);
  const old = it.browser.clone();
  await it.browser.visit(it.user, () => {});
  if (it.browser.jar.get(COOKIE) === old.jar.get(COOKIE)) throw new Error("no renewal");
  return { old };
}

/** Who the server says it is. */
export async function subjectOf(browser: Browser, user: SessionDefinition<Data>): Promise<string | undefined> {
  return await browser.visit(user, ({ subject }) => subject);
}

/** A cache in front of a store that never learns of changes. */
export function cachingStore(store: SessionStore): SessionStore {
  const copies = new Map<string, StoredRecord | undefined>();
  return {
    ...optionalMembers(store),
    cached: true,
    create: (key, record, call) => store.create(key, record, call),
    update: (key, record, base, call) => store.update(key, record, base, call),
    touch: (key, expiresAt, call) => store.touch(key, expiresAt, call),
    delete: (key, call) => store.delete(key, call),
    read(key, call) {
      if (call.fresh !== true && copies.has(key)) return copies.get(key);
      const record = store.read(key, call) as StoredRecord | undefined;
      copies.set(key, record);
      return record;
    },
  };
}
