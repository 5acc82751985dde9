/**
 * The options of the drop-in: those of express-session 1.19, and its defaults.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import { encodeBase64url } from "../internal/base64url.ts";
import { randomBytes } from "../internal/crypto.ts";
import { milliseconds, type Duration } from "../internal/duration.ts";
import type { SessionStore } from "../store/store.ts";
import type { CookieOptions } from "./cookie.ts";
import type { StoreKeeper } from "./keeper.ts";
import { isSessionStore, keeperOf, MemoryStore, toExpressStore, type KeptStore } from "./kept-store.ts";
import { KEEPER, type SessionRequest } from "./session.ts";
import { signerOf, type Secret, type Signer } from "./signature.ts";
import type { ExpressStore, Store } from "./store.ts";

/** Options of `session()`: those of express-session 1.19 with its defaults, and `storeTimeout`. */
export interface SessionOptions<Request extends object = IncomingMessage> {
  /**
   * Signs the id in the cookie. In a list the first signs, all are accepted. Default: what `cookie-parser` was given; without
   * that, every request fails.
   */
  secret?: Secret | readonly Secret[] | undefined;
  /** The name of the cookie. Default `"connect.sid"`. */
  name?: string | undefined;
  /** An older name of `name`. */
  key?: string | undefined;
  /** Where sessions are kept: a store for express-session, or one of ours. Default a new `MemoryStore`. */
  store?: ExpressStore | SessionStore | undefined;
  /** Attributes of the cookie, or what makes them for a request. */
  cookie?: CookieOptions | ((req: Request) => CookieOptions) | undefined;
  /** Makes ids. Default 24 random bytes. */
  genid?: ((req: Request) => string) | undefined;
  /** Whether `X-Forwarded-Proto` says how the request came. Default: what Express says (`trust proxy`). */
  proxy?: boolean | undefined;
  /** Whether a session is written that did not change. Default true; say false. */
  resave?: boolean | undefined;
  /** Whether the cookie goes out with every response. Default false. */
  rolling?: boolean | undefined;
  /** Whether a new session is kept in which nothing was written. Default true; say false. */
  saveUninitialized?: boolean | undefined;
  /** What `req.session = null` does to the kept session. Default `"keep"`. */
  unset?: "destroy" | "keep" | undefined;
  /** How long to wait for the store, in seconds or as a text: then the request goes to the error handlers. Default 2 seconds. */
  storeTimeout?: Duration | undefined;
}

/** The options, checked. */
export interface Settings {
  readonly name: string;
  readonly store: Store;
  readonly keeper: StoreKeeper;
  readonly proxy: boolean | undefined;
  readonly resave: boolean;
  readonly rolling: boolean;
  readonly saveUninitialized: boolean;
  readonly unsetDestroys: boolean;
  /** In milliseconds. */
  readonly timeout: number;
  cookieOf(req: object): CookieOptions;
  newId(req: object): string;
  /** Undefined when there is no secret. */
  signerFor(req: object): Signer | undefined;
  /** Whether the store says that it is connected. */
  isReady(): boolean;
}

/** Checks options. Throws a `TypeError` that names the option. */
export function settingsOf(options: SessionOptions<never>): Settings {
  const { genid, unset, name, key, cookie, resave, rolling, saveUninitialized, proxy, storeTimeout } = options;
  if (genid !== undefined && typeof genid !== "function") throw new TypeError("genid option must be a function");
  if (unset && unset !== "destroy" && unset !== "keep") {
    throw new TypeError('unset option must be "destroy" or "keep"');
  }
  const signers = signersOf(options.secret);
  const store = storeOf(options.store);
  return {
    name: name || key || "connect.sid",
    store: store as Store,
    keeper: keeperOf(store),
    proxy,
    resave: resave ?? true,
    rolling: Boolean(rolling),
    saveUninitialized: saveUninitialized ?? true,
    unsetDestroys: unset === "destroy",
    timeout: milliseconds("storeTimeout", storeTimeout ?? 2),
    cookieOf: (req) => (typeof cookie === "function" ? cookie(req as never) : (cookie ?? {})),
    newId: genid === undefined ? newId : (req) => genid(req as never),
    signerFor: signers,
    isReady: readinessOf(store),
  };
}

function newId(): string {
  return encodeBase64url(randomBytes(24));
}

function signersOf(secret: SessionOptions["secret"]): Settings["signerFor"] {
  if (Array.isArray(secret) && secret.length === 0) {
    throw new TypeError("secret option array must contain one or more strings");
  }
  if (secret) {
    const signer = signerOf((Array.isArray(secret) ? secret : [secret]) as readonly Secret[]);
    return () => signer;
  }
  const signers = new Map<Secret, Signer>();
  return (req) => {
    const theirs = (req as { secret?: Secret }).secret;
    if (!theirs) return undefined;
    const signer = signers.get(theirs) ?? signerOf([theirs]);
    // One per application that shares this middleware; more would be a secret made for each request.
    if (signers.size < 100) signers.set(theirs, signer);
    return signer;
  };
}

function storeOf(store: SessionOptions["store"]): ExpressStore | KeptStore {
  if (!store) return newMemoryStore();
  return isSessionStore(store) ? toExpressStore(store) : store;
}

function newMemoryStore(): MemoryStore {
  if (process.env["NODE_ENV"] === "production") {
    console.warn(
      "coatcheck/express-session: without a store, sessions are kept in the memory of this process, and end with it",
    );
  }
  return new MemoryStore();
}

/** Stores say `disconnect` and `connect`; those without events are always there. */
function readinessOf(store: object): () => boolean {
  const { on } = store as Partial<Store>;
  let ready = true;
  if (typeof on === "function") {
    on.call(store, "disconnect", () => void (ready = false));
    on.call(store, "connect", () => void (ready = true));
  }
  return () => ready;
}

/** Lets `store.generate(req)` work, which applications and stores call: for each request, by the options it came under. */
export function installGenerate(store: object, generate: (req: SessionRequest) => void): void {
  (store as Partial<Store>).generate = (req: SessionRequest) => {
    const keeper = req[KEEPER];
    if (keeper === undefined) generate(req);
    else keeper.generate();
  };
}
