/**
 * Libraries for Koa, set up as their documentation says.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import type Koa from "koa";
import type { Context } from "koa";
import session from "koa-session";
import { ANSWERS, FIRST_COUNT, type BenchData } from "../data.ts";
import type { Hosted } from "../host.ts";
import type { Site } from "../site.ts";
import type { Kind } from "../subjects.ts";

type OnKoa = Hosted<Koa, Context, Context>;

/** A subject that is not ours; undefined when there is none of that kind. */
export function koaPeer(kind: Kind, site: Site): OnKoa | undefined {
  if (kind === "bare") return bare();
  return kind === "koa-session" ? withKoaSession(site) : undefined;
}

function bare(): OnKoa {
  let count = FIRST_COUNT;
  const start = (ctx: Context, answer: string): string => {
    ctx.cookies.set("bench", randomBytes(32).toString("base64url"));
    return answer;
  };
  return {
    handlers: {
      seed: (ctx) => start(ctx, ANSWERS.seed),
      signIn: (ctx) => start(ctx, ANSWERS["sign-in"]),
      read: () => ANSWERS.read,
      write: () => String(++count),
      count: () => String(count),
    },
  };
}

function withKoaSession({ newData }: Site): OnKoa {
  const sessionOf = (ctx: Context): BenchData => (ctx as unknown as { session: BenchData }).session;
  const start = (ctx: Context, answer: string): string => {
    Object.assign(sessionOf(ctx), newData());
    return answer;
  };
  return {
    install(app) {
      app.keys = [randomBytes(32).toString("base64url")];
      app.use(session({ key: "bench", store: inMemory(), secure: false }, app));
    },
    handlers: {
      seed: (ctx) => start(ctx, ANSWERS.seed),
      signIn: (ctx) =>
        new Promise((resolve) => {
          const { regenerate } = sessionOf(ctx) as unknown as { regenerate(callback: () => void): void };
          regenerate.call(sessionOf(ctx), () => resolve(start(ctx, ANSWERS["sign-in"])));
        }),
      read: (ctx) => sessionOf(ctx).user,
      write: (ctx) => String(++sessionOf(ctx).count),
      count: (ctx) => String(sessionOf(ctx).count),
    },
  };
}

/** It has no store of its own, and asks for asynchronous functions. The text keeps requests from sharing an object. */
function inMemory(): {
  get(key: string): Promise<object | undefined>;
  set(key: string, data: object): Promise<void>;
  destroy(key: string): Promise<void>;
} {
  const kept = new Map<string, string>();
  return {
    async get(key) {
      const text = kept.get(key);
      return text === undefined ? undefined : (JSON.parse(text) as object);
    },
    async set(key, data) {
      kept.set(key, JSON.stringify(data));
    },
    async destroy(key) {
      kept.delete(key);
    },
  };
}
