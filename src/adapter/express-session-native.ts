/**
 * A native session on `req.session`, for middleware that was written for express-session: passport, connect-flash.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { SessionDefinition } from "../definition.ts";
import { handOver, type AnswerCallback } from "../internal/answer.ts";
import { copyJson } from "../internal/json.ts";
import { chain, isPromise } from "../internal/maybe-promise.ts";
import { checkNames } from "../internal/option-names.ts";
import type { Session } from "../session/session.ts";
import { difference } from "../session/verbs.ts";

/** Options of {@link asExpressSession}. */
export interface AsExpressSessionOptions<D extends object> {
  /**
   * Whose session it is, as far as the data tells: with passport `(data) => data.passport?.user`. When it comes to name
   * somebody, the session is authenticated as theirs, so that it can be listed and revoked. Default: nobody is named.
   */
  readonly subject?: ((data: Partial<D>) => string | undefined) | undefined;
}

/** Middleware in the form of Express. */
type Middleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void;

type AnySession = Session<Record<string, unknown>>;
type Data = Record<string, unknown>;

/** A request whose session somebody else's middleware uses. */
interface ViewedRequest {
  session?: SessionView | undefined;
}

/**
 * Middleware that puts the session of a native definition on `req.session` in the form of express-session: data as properties
 * that may be changed in place, `save`, `regenerate`, `destroy`, `touch` and `id`. Install it after `sessions(definition)`
 * and before what needs it. It reads the session of every request, and compares it when the response begins.
 *
 * @example
 * ```ts
 * import express from "express";
 * import passport from "passport";
 * import { defineSession } from "coatcheck";
 * import { sessions } from "coatcheck/express";
 * import { asExpressSession } from "coatcheck/express-session";
 * import { memoryStore } from "coatcheck/store/memory";
 *
 * const user = defineSession<{ passport?: { user?: string } }>({ name: "user", store: memoryStore() });
 *
 * const app = express();
 * app.use(sessions(user));
 * app.use(asExpressSession(user, { subject: (data) => data.passport?.user }));
 * app.use(passport.session());
 * ```
 *
 * @throws TypeError for what is no definition
 */
export function asExpressSession<D extends object>(
  definition: SessionDefinition<D>,
  options: AsExpressSessionOptions<D> = {},
): Middleware {
  checkNames("asExpressSession", options, ["subject"]);
  if (typeof (definition as Partial<SessionDefinition<D>> | undefined)?.from !== "function") {
    throw new TypeError("asExpressSession takes a definition: what defineSession() returned");
  }
  const subjectOf = options.subject as ((data: Data) => string | undefined) | undefined;
  return (req, res, next) => {
    const install = (session: Session<D>): void => {
      const viewed = new Viewed(req as ViewedRequest, session as never, subjectOf);
      viewed.show();
      flushBeforeSending(res, viewed);
    };
    try {
      const installed = chain(definition.from(req), install);
      if (isPromise(installed)) return void installed.then(() => process.nextTick(next), next);
    } catch (error) {
      return next(error);
    }
    return next();
  };
}

/** The native session, and what of it is on the request. */
class Viewed {
  readonly #req: ViewedRequest;
  readonly #session: AnySession;
  readonly #subjectOf: ((data: Data) => string | undefined) | undefined;
  #view: SessionView | undefined;
  /** The data as it was put there. */
  #shown: Data = {};
  #failed = false;

  constructor(req: ViewedRequest, session: AnySession, subjectOf: ((data: Data) => string | undefined) | undefined) {
    this.#req = req;
    this.#session = session;
    this.#subjectOf = subjectOf;
  }

  get id(): string {
    return this.#session.id;
  }

  /** Puts the data on the request. */
  show(): void {
    const view = new SessionView(this);
    this.#shown = visible(this.#session.data ?? {}, view);
    this.#view = this.#req.session = Object.assign(view, copyJson(this.#shown, "session data"));
  }

  /** Tells the native session what was changed. Throws as its verbs do, and then never again. */
  flush(): void {
    if (this.#failed || this.#view === undefined || this.#req.session !== this.#view) return;
    this.#failed = true;
    const data = copyJson({ ...this.#view }, "session data") as Data;
    const verb = difference(this.#shown, data);
    if (verb.kind === "patch" && Object.keys(verb.changed).length + verb.removed.length > 0) {
      this.#session.patch({ ...verb.changed, ...Object.fromEntries(verb.removed.map((key) => [key, undefined])) });
      this.#shown = data;
    }
    const subject = this.#subjectOf?.(data);
    if (subject !== undefined && subject !== this.#session.subject) {
      this.#session.authenticate(subject, { keep: Object.keys(data) });
    }
    this.#failed = false;
  }

  async save(): Promise<void> {
    this.flush();
    await this.#session.commit();
  }

  async destroy(): Promise<void> {
    delete this.#req.session;
    this.#session.destroy();
    await this.#session.commit();
  }

  /** A session with another id and no data. */
  regenerate(): void {
    this.#session.destroy();
    this.show();
  }
}

/** `req.session`: the data, beside these methods, which data cannot hide. */
class SessionView {
  constructor(viewed: Viewed) {
    Object.defineProperty(this, VIEWED, { value: viewed });
  }

  get id(): string {
    return of(this).id;
  }

  touch(): this {
    return this;
  }

  save(callback?: AnswerCallback<void>): this | Promise<void> {
    return this.#done(() => of(this).save(), callback);
  }

  destroy(callback?: AnswerCallback<void>): this | Promise<void> {
    return this.#done(() => of(this).destroy(), callback);
  }

  regenerate(callback?: AnswerCallback<void>): this | Promise<void> {
    return this.#done(() => of(this).regenerate(), callback);
  }

  #done(work: () => void | Promise<void>, callback: AnswerCallback<void> | undefined): this | Promise<void> {
    const promise = handOver(work, callback);
    return callback === undefined ? promise : this;
  }
}

const VIEWED: unique symbol = Symbol("coatcheck.viewed") as never;

function of(view: SessionView): Viewed {
  return (view as unknown as { readonly [VIEWED]: Viewed })[VIEWED];
}

function visible(data: object, view: SessionView): Data {
  return Object.fromEntries(Object.entries(data).filter(([key]) => !(key in view)));
}

/** Changes have to be known before the first byte goes out: then they are committed. */
function flushBeforeSending(res: ServerResponse, viewed: Viewed): void {
  for (const method of ["writeHead", "write", "end", "flushHeaders"] as const) {
    const send = res[method] as (...args: unknown[]) => unknown;
    Object.assign(res, {
      [method](this: ServerResponse, ...args: unknown[]): unknown {
        if (!this.headersSent) viewed.flush();
        return send.apply(this, args);
      },
    });
  }
}
