/**
 * Libraries for Express, set up as their documentation says and at their cheapest: no `Secure` to check.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import cookieSession from "cookie-session";
import { RedisStore } from "connect-redis";
import type { Express, Request, Response } from "express";
import expressSession from "express-session";
import { getIronSession, type IronSession } from "iron-session";
import { ANSWERS, FIRST_COUNT, type BenchData } from "../data.ts";
import { redisClient } from "../drivers.ts";
import type { Hosted } from "../host.ts";
import { CONTROL_MICROS, type Kind } from "../subjects.ts";
import type { Site } from "../site.ts";

type OnExpress = Hosted<Express, Request, Response>;

/** A subject that is not ours; undefined when there is none of that kind. */
export async function expressPeer(kind: Kind, site: Site): Promise<OnExpress | undefined> {
  if (kind === "bare") return bare();
  if (kind === "control") return control();
  if (kind === "express-session") return withExpressSession(site);
  if (kind === "connect-redis") return withExpressSession(site, await redisSessions(site));
  if (kind === "cookie-session") return withCookieSession(site);
  if (kind === "iron-session") return withIronSession(site);
  if (kind !== "better-auth" && kind !== "better-auth-cookie") {
    const { byHand } = await import("./by-hand.ts");
    return await byHand(kind, site);
  }
  const { withBetterAuth } = await import("./better-auth.ts");
  return withBetterAuth(site, kind === "better-auth-cookie");
}

function bare(): OnExpress {
  let count = FIRST_COUNT;
  const start = (_req: Request, res: Response, answer: string): string => {
    res.cookie("bench", randomBytes(32).toString("base64url"));
    return answer;
  };
  return {
    handlers: {
      seed: (req, res) => start(req, res, ANSWERS.seed),
      signIn: (req, res) => start(req, res, ANSWERS["sign-in"]),
      read: () => ANSWERS.read,
      write: () => String(++count),
      count: () => String(count),
    },
  };
}

/** A known cost: looks at the clock until the time is over. */
function control(): OnExpress {
  const { handlers } = bare();
  const read = (): string => {
    const until = performance.now() + CONTROL_MICROS / 1000;
    while (performance.now() < until);
    return ANSWERS.read;
  };
  return { handlers: { ...handlers, read } };
}

function withExpressSession({ newData }: Site, store?: RedisStore): OnExpress {
  const secret = randomBytes(32).toString("base64url");
  const options = { secret, resave: false, saveUninitialized: false, ...(store !== undefined && { store }) };
  const of = (req: Request): BenchData => req.session as unknown as BenchData;
  return {
    install: (app) => app.use(expressSession(options)),
    handlers: {
      seed(req) {
        Object.assign(req.session, newData());
        return ANSWERS.seed;
      },
      signIn: (req) =>
        new Promise((resolve, reject) => {
          req.session.regenerate((error: unknown) => {
            if (error !== undefined && error !== null) return reject(error as Error);
            Object.assign(req.session, newData());
            resolve(ANSWERS["sign-in"]);
          });
        }),
      read: (req) => of(req).user,
      write: (req) => String(++of(req).count),
      count: (req) => String(of(req).count),
    },
  };
}

async function redisSessions(site: Site): Promise<RedisStore> {
  return new RedisStore({ client: await redisClient(site), prefix: "connect-redis:" });
}

function withCookieSession({ newData }: Site): OnExpress {
  const of = (req: Request): BenchData => req.session as unknown as BenchData;
  const start = (req: Request, answer: string): string => {
    Object.assign(req.session as object, newData());
    return answer;
  };
  return {
    install: (app) => app.use(cookieSession({ name: "bench", keys: [randomBytes(32).toString("base64url")] })),
    handlers: {
      seed: (req) => start(req, ANSWERS.seed),
      signIn: (req) => start(req, ANSWERS["sign-in"]),
      read: (req) => of(req).user,
      write: (req) => String(++of(req).count),
      count: (req) => String(of(req).count),
    },
  };
}

function withIronSession({ newData }: Site): OnExpress {
  const options = { password: randomBytes(32).toString("base64url"), cookieName: "bench" };
  const of = (req: Request, res: Response): Promise<IronSession<BenchData>> =>
    getIronSession<BenchData>(req, res, options);
  const start = async (req: Request, res: Response, answer: string): Promise<string> => {
    const session = await of(req, res);
    Object.assign(session, newData());
    await session.save();
    return answer;
  };
  return {
    handlers: {
      seed: (req, res) => start(req, res, ANSWERS.seed),
      signIn: (req, res) => start(req, res, ANSWERS["sign-in"]),
      read: async (req, res) => String((await of(req, res)).user),
      async write(req, res) {
        const session = await of(req, res);
        session.count = (session.count ?? 0) + 1;
        await session.save();
        return String(session.count);
      },
      count: async (req, res) => String((await of(req, res)).count),
    },
  };
}
