/**
 * The session that a handler holds for one request.
 *
 * @module
 */
import { encodeBase64url } from "../internal/base64url.ts";
import { randomBytes } from "../internal/crypto.ts";
import { deepFreeze, frozenJson, type JsonValue } from "../internal/json.ts";
import type { Clock } from "../internal/clock.ts";
import { headersSent, type CommitOutcome } from "./exchange.ts";
import { nextExpiry, touchDue, type Policy } from "./policy.ts";
import type { Shape } from "./shape.ts";
import type { SessionState } from "./state.ts";
import { apply, difference, draftOf, isEmpty, patchVerb, type Verb } from "./verbs.ts";
import { emptyContent } from "./record.ts";

/** A value and everything in it, not to be changed in place. */
export type DeepReadonly<T> = T extends (...args: never[]) => unknown
  ? T
  : T extends readonly (infer Entry)[]
    ? readonly DeepReadonly<Entry>[]
    : T extends object
      ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
      : T;

/** What {@link Session.authenticate} may be told. */
export interface AuthenticateOptions<Data> {
  /** How sure you are, in your own words (`"password"`, `"mfa"`, `"aal2"`). Kept until the next `authenticate` names another. */
  readonly level?: string;
  /**
   * When somebody else was signed in: the keys of the data that the new session takes over, such as `["cart"]`. Default
   * none: data of one user is not shown to another. A guest's data is always kept.
   */
  readonly keep?: readonly (keyof Data & string)[];
}

/** What a session needs of its definition. */
export interface SessionHost {
  readonly policy: Policy;
  readonly shape: Shape;
  /** Whether a new secret means a new id: where the record is inside the token, it has no other name. */
  readonly rotationChangesId: boolean;
  /** Whether nothing but the data is kept, because the definition has a codec. */
  readonly dataOnly: boolean;
  readonly clock: Clock;
  newId(): string;
}

/**
 * A visitor's session, for the time of one request. Get it by `await definition.from(request)`.
 *
 * Changes are written before the response headers go out; on a conflict with another request they are replayed on what that
 * one wrote. Verbs throw `SessionError` (`ERR_SESSION_HEADERS_SENT`) after the headers are out.
 */
export class Session<Data extends object> {
  readonly #state: SessionState;
  readonly #host: SessionHost;

  /** @internal */
  constructor(state: SessionState, host: SessionHost) {
    this.#state = state;
    this.#host = host;
  }

  /** The data, frozen; undefined when there is none yet. */
  get data(): DeepReadonly<Data> | undefined {
    return deepFreeze(this.#state.draft.data) as DeepReadonly<Data> | undefined;
  }

  /**
   * The public id: safe to log and to show, worth nothing as a token. With a store it stays the same when the secret is
   * renewed or replaced; without one, `authenticate` and `regenerate` change it. With a `codec`, which keeps the data only, each
   * request has another.
   */
  get id(): string {
    const { base, draft, identity } = this.#state;
    if (identity !== undefined) return identity.id;
    const anew = draft.separate || (this.#host.rotationChangesId && draft.rotated !== undefined);
    if (base !== undefined && !anew) return base.id;
    return (this.#state.id ??= this.#host.newId());
  }

  /** Whether nothing of this session is kept yet: true for a visitor without one, false once it has been committed. */
  get isNew(): boolean {
    return this.#state.base === undefined;
  }

  /** Whose session it is; undefined for a guest. */
  get subject(): string | undefined {
    return this.#state.draft.subject;
  }

  /** The level given to the last `authenticate`. */
  get level(): string | undefined {
    return this.#state.draft.level;
  }

  /** When the session began, in milliseconds since the epoch. */
  get createdAt(): number {
    return this.#state.draft.createdAt;
  }

  /** When the subject last signed in, in milliseconds since the epoch; undefined for a guest. */
  get authenticatedAt(): number | undefined {
    return this.#state.draft.authenticatedAt;
  }

  /**
   * When the session was last used, as far as that is written down: in milliseconds since the epoch, to a tenth of the idle
   * timeout. Without an idle timeout, when it was last written.
   */
  get lastSeenAt(): number {
    return this.#state.base?.lastSeenAt ?? this.#state.exchange.arrivedAt;
  }

  /** When the session ends if it is not used again, in milliseconds since the epoch. */
  get expiresAt(): number {
    const { base, draft, log } = this.#state;
    const { policy } = this.#host;
    const now = this.#host.clock.now();
    const kept = base !== undefined && log.length === 0 && !touchDue(policy, draft, base.expiresAt, now);
    return kept ? base.expiresAt : nextExpiry(policy, draft, now);
  }

  /** Replaces the data. Throws `SessionError` (`ERR_SESSION_INVALID_DATA`) when the schema refuses it. */
  set(data: DeepReadonly<Data>): void {
    this.#write();
    this.#change(this.#host.shape.accept(data, this.#state.draft.data));
  }

  /** Changes some keys and leaves the others; `undefined` removes a key. Throws as `set` does. */
  patch(changes: { readonly [Key in keyof Data]?: DeepReadonly<Data[Key]> | undefined }): void {
    this.#write();
    const { draft } = this.#state;
    const { data } = apply(draft, patchVerb(changes as Readonly<Record<string, unknown>>));
    this.#change(this.#host.shape.accept(data, draft.data));
  }

  /**
   * Computes the new data from the old: the way to count. What the function returns *replaces* the data, so spread the old
   * into it to keep the other keys. It must be pure, because it is called again on newer data when another request wrote
   * first. Throws as `set` does, and what the function throws.
   */
  update(change: (data: DeepReadonly<Data> | undefined) => DeepReadonly<Partial<Data>>): void {
    this.#write();
    const { shape } = this.#host;
    this.#do({
      kind: "update",
      change: (data) => shape.accept(change(deepFreeze(data) as DeepReadonly<Data> | undefined), data),
    });
  }

  /**
   * Signs a subject in: to be called after every check of a password, passkey or second factor. The client gets a new
   * secret, the old one is dead at once, and the absolute clock starts anew (ASVS 7.2.4). A guest's data is kept; signing
   * in as a different subject starts a new session, see `keep`.
   */
  authenticate(subject: string, options: AuthenticateOptions<Data> = {}): void {
    if (typeof subject !== "string" || subject === "")
      throw new TypeError("subject must be a string that is not empty");
    this.#keepsMoreThanData("authenticate");
    this.#write();
    const { level, keep = [] } = options;
    if (level !== undefined && typeof level !== "string") throw new TypeError("level must be a string");
    this.#do({ kind: "authenticate", subject, level, keep, at: this.#host.clock.now() });
  }

  /**
   * A new secret for the same session, the old one dead at once: for every other change of what the user may do. Does nothing
   * for a session that nothing was done to yet.
   */
  regenerate(): void {
    this.#write();
    if (this.#state.base !== undefined || this.#state.log.length > 0) this.#do({ kind: "regenerate" });
  }

  /** Leaves a message that is read once, by this request or a later one. The last 50 that nobody took are kept. */
  flash(name: string, value: JsonValue): void {
    if (typeof name !== "string") throw new TypeError("the name of a flash message must be a string");
    this.#keepsMoreThanData("flash");
    this.#write();
    const entry = { id: encodeBase64url(randomBytes(6)), name, value: frozenJson(value, "a flash message") };
    this.#do({ kind: "flash", entry });
  }

  /** The oldest message of a name, which is thereby taken; undefined when there is none. */
  takeFlash(name: string): JsonValue | undefined {
    const entry = this.#state.draft.flash.find((candidate) => candidate.name === name);
    if (entry === undefined) return undefined;
    this.#write();
    this.#do({ kind: "take-flash", id: entry.id });
    return deepFreeze(entry.value) as JsonValue;
  }

  /**
   * Ends the session, for every request that holds it, and makes the client forget it. What is set afterwards belongs to a
   * new session with a new id.
   */
  destroy(): void {
    this.#write();
    const state = this.#state;
    if (state.base !== undefined) state.ended.push({ base: state.base, reason: "destroy" });
    state.forget ||= state.base !== undefined || state.stale;
    state.incarnation++;
    state.base = undefined;
    state.id = undefined;
    state.log = [];
    state.draft = draftOf(emptyContent(this.#host.clock.now()));
  }

  /**
   * Writes the changes now instead of when the response begins: to see errors here, or before a response that is streamed.
   * `"gone"`: the session had ended, or was signed in anew, meanwhile; nothing was written.
   *
   * @throws ConflictError, StoreError, SessionTooLargeError, SessionError
   */
  commit(): Promise<CommitOutcome> {
    return this.#state.exchange.commitNow(this as unknown as Session<never>);
  }

  /** @internal What CSRF tokens of this session are made of, and whether it is written; undefined when there is nothing. */
  get csrf(): { readonly secret: string; readonly written: boolean } | undefined {
    const { base, draft } = this.#state;
    if (draft.csrf === undefined) return undefined;
    return { secret: draft.csrf, written: base?.content.csrf === draft.csrf };
  }

  /** @internal Makes what CSRF tokens are made of, unless there is something. */
  makeCsrf(): void {
    if (this.#state.draft.csrf !== undefined) return;
    this.#keepsMoreThanData("token");
    this.#write();
    this.#do({ kind: "csrf", secret: encodeBase64url(randomBytes(16)) });
  }

  /**
   * A link that carries the session, for definitions with the transport `url()`: for every `href`, form action and redirect of
   * a page. The link as it was when the client has shown that the session travels otherwise (by cookie), when there is none,
   * and when the link leads to another site. Escape it for HTML as any other text.
   *
   * A new session, or one that was just given a new secret, is first to be written: `await session.commit()`.
   *
   * @throws TypeError when the session has changes without which the link would lead nowhere
   */
  link(href: string | URL): string {
    const { linker, exchange, base, draft, token, owed } = this.#state;
    const text = String(href);
    if (linker === undefined) return text;
    if (owed !== undefined || draft.rotated !== undefined || (base === undefined && !isEmpty(draft))) {
      throw new TypeError("link() needs the session to be written first: `await session.commit()` before it");
    }
    if (base === undefined || token === undefined) return text;
    return linker.link?.(exchange.view, text, token) ?? text;
  }

  /** What is safe to show: no data, no secret. */
  toJSON(): { id: string; isNew: boolean } {
    return { id: this.id, isNew: this.isNew };
  }

  /** Throws a `TypeError` at once for a verb that could not be kept, and not when the response begins. */
  #keepsMoreThanData(verb: string): void {
    if (!this.#host.dataOnly) return;
    throw new TypeError(
      `${verb}() needs a session without a codec: the token of one with a codec says its data and no more`,
    );
  }

  #write(): void {
    if (this.#state.unavailable !== undefined) throw this.#state.unavailable;
    if (this.#state.exchange.closed) throw headersSent();
  }

  #change(data: unknown): void {
    const before = this.#state.draft.data;
    const verb = difference(before, data);
    const same =
      verb.kind === "patch" && before !== undefined && Object.keys(verb.changed).length + verb.removed.length === 0;
    if (!same) this.#do(verb);
  }

  #do(verb: Verb): void {
    const state = this.#state;
    const draft = apply(state.draft, verb);
    // What another subject is given to keep has to be a whole for the schema (P16).
    const kept = verb.kind === "authenticate" && draft.data !== state.draft.data && draft.data !== undefined;
    state.draft = kept ? { ...draft, data: this.#host.shape.accept(draft.data) } : draft;
    state.log.push(verb);
  }
}

// What `console.log` shows of a session; as a computed member it could not be declared in isolation.
Object.defineProperty(Session.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: Session<never>): string {
    return `Session { id: "${this.id}", isNew: ${String(this.isNew)} }`;
  },
});
