/**
 * `defineSession`: the options of a session, all their defaults, and the one place where the rooms meet.
 *
 * @module
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { checkOptions } from "./check-options.ts";
import { revocationOf } from "./revocation.ts";
import { systemClock, type Clock } from "./internal/clock.ts";
import { milliseconds, type Duration } from "./internal/duration.ts";
import { checkNames } from "./internal/option-names.ts";
import { SerialQueue } from "./internal/serial-queue.ts";
import { keyRing, type KeyInput } from "./protection/key-ring.ts";
import type { Protection, Protector } from "./protection/protection.ts";
import { tokenMac } from "./protection/token-mac.ts";
import { longestRemembered, prefixOf, type ById, type Concurrency, type OnReplay } from "./session/by-id.ts";
import { withCopies } from "./session/by-id-copies.ts";
import { readTokens, trackByValue } from "./session/by-value.ts";
import { WHOLE } from "./session/envelope.ts";
import { sessionEvents } from "./session/events.ts";
import { SessionManager, type ManagerParts, type OnStoreError } from "./session/manager.ts";
import type { Policy } from "./session/policy.ts";
import { registryById, registryByValue } from "./session/registry.ts";
import { HOW_TO_INSTALL } from "./session/exchange.ts";
import { exchangeOf, type SessionRequest } from "./session/request.ts";
import type { Session } from "./session/session.ts";
import { dataOnly, type SessionCodec } from "./session/session-codec.ts";
import { shapeOf } from "./session/shape.ts";
import { storeCalls } from "./session/store-calls.ts";
import { idGenerator, tokenCodec } from "./session/token.ts";
import { trackById } from "./session/track-by-id.ts";
import { trustedCopies } from "./session/trusted-copy.ts";
import type { SessionStore } from "./store/store.ts";
import { cookie } from "./transport/cookie.ts";
import type { Sticky } from "./transport/sticky.ts";
import type { BoundSticky, BoundTransport, Transport } from "./transport/transport.ts";
import { trustOf, versionsOf } from "./trust.ts";

/** What a session is made of. Every option but `name` has a default, or says what it needs. */
export interface SessionOptions {
  /** Names the cookie, the records and the purpose of every key: letters, digits, `-` and `_`, at most 64. */
  readonly name: string;
  /**
   * The shape of the data: any Standard Schema (zod, valibot, arktype, …). Checked when data is written and when it is read.
   * Must be synchronous and accept its own output as JSON. Default: any object, typed by `defineSession<Data>()`.
   */
  readonly schema?: StandardSchemaV1<unknown, object> | undefined;
  /**
   * Makes data of today's shape out of data that the schema refuses on read, because an older version wrote it. Written back
   * with the next change. Default: such a session starts empty, with an event.
   */
  readonly migrate?: ((old: unknown) => unknown) | undefined;
  /** Where records are kept. Left out, the session travels in its token, and `keys` and `revocation` are needed. */
  readonly store?: SessionStore | undefined;
  /**
   * How the token travels. Default `cookie()`. Of several, such as `[cookie(), header()]` for the pages and the app of one
   * site, the first that carries a token counts and gets the answer; a client without a token is answered by the first of
   * them that it asks for (`header()` by its empty header), or else that can.
   */
  readonly transport?: Transport | readonly Transport[] | undefined;
  /**
   * Binds clients to this server of a fleet: what `sticky()` returned. Needs a transport with a place beside its token,
   * such as `cookie()`. Default: a client may be sent to any server.
   */
  readonly sticky?: Sticky | undefined;
  /** What protects a session that travels in its token, or a copy of it (`trustFor`). Default `seal()`: encrypted and authenticated. */
  readonly protection?: Protection | undefined;
  /**
   * Secret keys, the first of which protects while all open: 32 random bytes each, as base64url, base64 or hex, in one string
   * with commas, in a list, or a `keyRing()`. Without a store they are needed; with one they add a short MAC to the token, so
   * that forgeries never reach the store.
   */
  readonly keys?: KeyInput | undefined;
  /** With `keys` and a store: also accept tokens without a MAC, while keys are introduced. Default false. */
  readonly acceptUnsigned?: boolean | undefined;
  /** Ties tokens to one deployment (a tenant, `"staging"`): those of another are worth nothing here. Default none. */
  readonly audience?: string | undefined;
  /** Where public ids come from: 16 to 64 random bytes (ASVS 7.2.3). Default: 16 bytes of the system's generator. */
  readonly generateId?: (() => Uint8Array) | undefined;
  /**
   * A session ends when it was not used for this long: seconds, or a text such as `"30m"`; false switches the clock off.
   * Default 30 minutes with a store, off without (OWASP; ASVS 7.3.1).
   */
  readonly idleTimeout?: Duration | false | undefined;
  /** A session ends this long after it began or was last signed in to. Default 12 hours (ASVS 7.3.2). */
  readonly absoluteTimeout?: Duration | false | undefined;
  /** With a store: the secret of a signed-in session is replaced when it is older than this. Default 15 minutes. */
  readonly renewalTimeout?: Duration | false | undefined;
  /**
   * With a store, when another request wrote first. `"merge"` (default): this request's changes are replayed on what that one
   * wrote. `"reject"`: `ConflictError`. `"overwrite"`: this request's data wins.
   */
  readonly concurrency?: Concurrency | undefined;
  /** With a store, when a secret comes back more than 5 minutes after it was renewed. `"end"` (default) the session, or just `"reject"`. */
  readonly onReplay?: OnReplay | undefined;
  /**
   * When the store cannot be read. `"throw"` (default): the request gets a `StoreError`. `"anonymous"`: it goes on without a
   * session, and only writing throws.
   */
  readonly onStoreError?: OnStoreError | undefined;
  /**
   * With a store and `keys`: for how long a sealed copy of the record, in a cookie beside the token, is trusted without asking
   * the store: 5 minutes at most. Default false: the store is asked with every request. Writes, requests that are neither GET
   * nor HEAD, and whatever is due of a session go to the store as ever.
   *
   * The price: a session that was ended elsewhere is still shown to a client that kept its cookies, until this long after the
   * store was last asked, and longer by as much as the clocks of your servers differ.
   */
  readonly trustFor?: Duration | false | undefined;
  /** How long to wait for a store call, and for a commit that meets others. Default 2 seconds. */
  readonly storeTimeout?: Duration | undefined;
  /**
   * Without a store, how a session is ended before its clocks end it; there is no default. `"none"`: it is not, and a copied
   * cookie works until then. A store: it keeps an entry for each subject that every load reads, so that `destroy()` and
   * `manager.revokeAll()` end sessions at once (ASVS 7.4.1).
   */
  readonly revocation?: "none" | SessionStore | undefined;
  /**
   * Without a store: what the token says, in the form of another server that reads and writes it too. That is the data and
   * nothing else, so such a session has no clocks and cannot be revoked, which is to be said (`absoluteTimeout: false`,
   * `revocation: "none"`), nobody can be signed in to it (`authenticate`, `flash` are a `TypeError`), and `id` and `createdAt`
   * are those of the request. Default: everything that is known of the session, in a form of ours.
   */
  readonly codec?: SessionCodec<object> | undefined;
  /** Where time comes from. Default: the machine; `fakeClock()` of `coatcheck/testing` in tests. */
  readonly clock?: Clock | undefined;
}

/** One named kind of session: what `sessions(…)` of an adapter installs, and what brings a request's session. */
export interface SessionDefinition<Data extends object> {
  readonly name: string;
  readonly manager: SessionManager;
  /**
   * The session of a request: loaded when first asked for, the same object afterwards. Takes whatever the framework gives a
   * handler. At once where the store answers at once, so `await` it.
   *
   * @throws TypeError when no adapter has installed the definition for this request, or for an option that is none; StoreError
   */
  from(request: SessionRequest, options?: FromOptions): Session<Data> | Promise<Session<Data>>;
}

/** Options of {@link SessionDefinition.from}. */
export interface FromOptions {
  /**
   * Whether the store is to be asked, past every copy (a near cache): for what must not happen on a session that was ended
   * elsewhere a moment ago. Of a session that this request has already, what it changed stays changed, on top of what the store
   * holds now; one that has ended turns out empty. Costs one store call where sessions may come from copies, and none
   * elsewhere. Default false.
   */
  readonly verify?: boolean | undefined;
}

const FROM_OPTIONS = ["verify"];
const DEFAULTS = {
  byId: { idleTimeout: "30m", absoluteTimeout: "12h", renewalTimeout: "15m" },
  byValue: { idleTimeout: false, absoluteTimeout: "12h", renewalTimeout: false },
  concurrency: "merge",
  onReplay: "end",
  onStoreError: "throw",
  storeTimeout: 2,
} as const;

/** Makes definitions: `defineSession`. */
export interface DefineSession {
  /**
   * Defines a kind of session.
   *
   * @example
   * ```ts
   * import { defineSession } from "coatcheck";
   * import { memoryStore } from "coatcheck/store/memory";
   *
   * export const user = defineSession<{ visits: number }>({ name: "user", store: memoryStore() });
   * ```
   *
   * @throws TypeError that names the option, for anything that cannot work or would not be safe
   */
  <Schema extends StandardSchemaV1<unknown, object>>(
    options: SessionOptions & { readonly schema: Schema },
  ): SessionDefinition<StandardSchemaV1.InferOutput<Schema>>;
  /** Defines a kind of session whose data no schema checks. */
  <Data extends object = never>(
    options: SessionOptions & { readonly schema?: undefined; readonly codec?: SessionCodec<Data> | undefined },
  ): SessionDefinition<Data>;
}

/**
 * A `defineSession`. `standard` is what protects a session that travels in its token and names no protection: what is not
 * handed in here no bundle has to carry.
 */
export function definer(standard: (() => Protection) | undefined): DefineSession {
  return (options: SessionOptions): SessionDefinition<never> => {
    checkOptions(options);
    const { name, store } = options;
    const manager = new SessionManager(
      store === undefined
        ? byValueParts(options, protectionOf(options, standard))
        : byIdParts(options, store, standard),
    );
    return Object.freeze({
      name,
      manager,
      from(request: SessionRequest, how?: FromOptions) {
        if (how !== undefined) checkNames("from", how, FROM_OPTIONS);
        const exchange = exchangeOf(request);
        if (exchange === undefined) {
          throw new TypeError(`the session "${name}" is not installed for this request: ${HOW_TO_INSTALL}`);
        }
        return exchange.from(manager, how?.verify ?? false) as Session<never> | Promise<Session<never>>;
      },
    });
  };
}

function protectionOf({ protection }: SessionOptions, standard: (() => Protection) | undefined): Protection {
  const chosen = protection ?? standard?.();
  if (chosen !== undefined) return chosen;
  throw new TypeError('protection must be named with coatcheck/define: seal() or sign(), of "coatcheck"');
}

// --- what both kinds share ----------------------------------------------------------------------------------------------

function commonParts(
  options: SessionOptions,
  kind: "by id" | "by value",
): Pick<ManagerParts, "name" | "clock" | "policy" | "shape" | "events" | "transports" | "sticky" | "onStoreError"> {
  const { name, clock = systemClock, schema, migrate, onStoreError = DEFAULTS.onStoreError } = options;
  const transports = boundTransports(options, kind === "by value");
  return {
    name,
    clock,
    onStoreError,
    policy: policyOf(options, kind === "by id" ? DEFAULTS.byId : DEFAULTS.byValue),
    shape: shapeOf(schema, migrate),
    events: sessionEvents(name, () => clock.now()),
    transports,
    sticky: boundSticky(options, transports),
  };
}

function boundTransports(options: SessionOptions, byValue: boolean): readonly BoundTransport[] {
  const bound = transportsOf(options).map((transport) => transport.bind({ name: options.name, byValue }));
  const names = bound.flatMap((transport) => transport.names);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new TypeError(`transport must not have two that use ${twice}`);
  return bound;
}

function boundSticky(options: SessionOptions, transports: readonly BoundTransport[]): BoundSticky | undefined {
  return options.sticky?.bind(placeFor("sticky", "route", options, transports));
}

function transportsOf({ transport = cookie() }: SessionOptions): readonly Transport[] {
  return Array.isArray(transport) ? transport : [transport as Transport];
}

function policyOf(
  options: SessionOptions,
  defaults: { readonly [Name in "idleTimeout" | "absoluteTimeout" | "renewalTimeout"]: Duration | false },
): Policy {
  const clockOf = (name: keyof typeof defaults): number | undefined => {
    const duration = options[name] ?? defaults[name];
    return duration === false ? undefined : milliseconds(name, duration);
  };
  return { idle: clockOf("idleTimeout"), absolute: clockOf("absoluteTimeout"), renewal: clockOf("renewalTimeout") };
}

function described(
  options: SessionOptions,
  { policy, transports, sticky }: Pick<ManagerParts, "policy" | "transports" | "sticky">,
  more: object,
): Readonly<Record<string, unknown>> {
  const seconds = (ms: number | undefined): number | false => (ms === undefined ? false : ms / 1000);
  return Object.freeze({
    name: options.name,
    audience: options.audience ?? "",
    idleTimeout: seconds(policy.idle),
    absoluteTimeout: seconds(policy.absolute),
    renewalTimeout: seconds(policy.renewal),
    onStoreError: options.onStoreError ?? DEFAULTS.onStoreError,
    storeTimeout: storeTimeoutOf(options) / 1000,
    transport: transports.length === 1 ? transports[0]?.describe() : transports.map((one) => one.describe()),
    sticky: sticky?.describe() ?? false,
    ...more,
  });
}

function storeTimeoutOf({ storeTimeout = DEFAULTS.storeTimeout }: SessionOptions): number {
  return milliseconds("storeTimeout", storeTimeout);
}

// --- by id --------------------------------------------------------------------------------------------------------------

function byIdParts(
  options: SessionOptions,
  store: SessionStore,
  standard: (() => Protection) | undefined,
): ManagerParts {
  const { name, audience = "", acceptUnsigned = false, generateId } = options;
  const { concurrency = DEFAULTS.concurrency, onReplay = DEFAULTS.onReplay } = options;
  const common = commonParts(options, "by id");
  const { clock, events } = common;
  const keys = options.keys === undefined ? undefined : keyRing(options.keys);
  const mac = keys === undefined ? undefined : tokenMac({ keys, name, audience });
  const codec = tokenCodec({ name, audience, mac, acceptUnsigned, generateId });
  const timeout = storeTimeoutOf(options);
  const calls = storeCalls(store, { clock, timeout, events });
  const trust = trustOf(options, {
    clock,
    keys,
    protection: () => protectionOf(options, standard),
    place: (suffix) => placeFor("trustFor", suffix, options, common.transports),
  });
  const byId: ById = {
    ...common,
    prefix: prefixOf(name, audience),
    codec,
    calls,
    queue: new SerialQueue(),
    concurrency,
    onReplay,
    timeout,
    remembers: options.schema === undefined ? longestRemembered(store.returnsSame === true || trust !== undefined) : 0,
    versions: versionsOf(store, trust, common.transports),
  };
  const tracker = trust === undefined ? trackById(byId) : withCopies(trackById(byId), byId, trustedCopies(trust));
  const trustFor = trust === undefined ? false : trust.trustFor / 1000;
  const kept = { kept: "by id", store: store.name ?? "custom", concurrency, onReplay, keys: keys !== undefined };
  return {
    ...common,
    tracker,
    beside: [trust, byId.versions].flatMap((used) => used?.place ?? []),
    rotationChangesId: false,
    dataOnly: false,
    registry: registryById(byId, store),
    description: described(options, common, { ...kept, trustFor }),
    newId: () => codec.newId(),
  };
}

// --- by value -----------------------------------------------------------------------------------------------------------

function byValueParts(options: SessionOptions, protection: Protection): ManagerParts {
  const { name, audience = "", generateId, codec, revocation: revocationOption } = options;
  const common = commonParts(options, "by value");
  const { clock, events, policy, transports } = common;
  const keys = options.keys === undefined ? undefined : keyRing(options.keys);
  const protector = (purpose: string): Protector =>
    protection.bind({ purpose, name, audience, keys, now: () => clock.now() });
  const idle =
    policy.idle === undefined
      ? undefined
      : { protector: protector("idle"), transport: idlePlaceOf(options, transports) };
  const revocation = revocationOf(options, { ...common, timeout: storeTimeoutOf(options) });
  const newId = idGenerator(generateId);
  const envelope = codec === undefined ? WHOLE : dataOnly(codec, newId);
  const main = protector("session");
  const remembers = main.returnsSame === true && options.schema === undefined && codec === undefined;
  const read = remembers ? readTokens() : undefined;
  const byValue = { ...common, protector: main, idle, revocation, envelope, read, newId };
  const tracker = trackByValue(byValue);
  const more = {
    kept: "by value",
    protection: protection.kind,
    revocation: typeof revocationOption === "string" ? revocationOption : "store",
    codec: codec !== undefined,
  };
  return {
    ...common,
    tracker,
    beside: idle === undefined ? [] : [idle.transport],
    rotationChangesId: true,
    dataOnly: codec !== undefined,
    registry: registryByValue(name, revocation, events),
    description: described(options, common, more),
    newId,
  };
}

/** The place beside the token that an option needs: that of the first transport that has one. */
function placeFor(
  option: string,
  suffix: string,
  options: SessionOptions,
  transports: readonly BoundTransport[],
): BoundTransport {
  for (const transport of transports) {
    const place = transport.beside?.(suffix);
    if (place !== undefined) return place;
  }
  const kinds = transportsOf(options).map(({ kind }) => kind);
  throw new TypeError(
    `${option} needs a transport with a place beside its token, such as cookie(): ${kinds.join(", ")} has none`,
  );
}

function idlePlaceOf(options: SessionOptions, transports: readonly BoundTransport[]): BoundTransport {
  if (transports.length > 1) throw new TypeError("idleTimeout of a session without a store needs a single transport");
  return placeFor("idleTimeout of a session without a store", "idle", options, transports);
}
