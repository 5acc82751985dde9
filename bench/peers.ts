/**
 * Those that ours are compared with, set up as their documentation says and at their cheapest: no `Secure` to check.
 *
 * @module
 */
/* oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 takes their rejections */
import { randomBytes } from "node:crypto";
import type { Request, Response } from "express";
import expressSession from "express-session";
import { getIronSession, type IronSession } from "iron-session";
import type { Handlers } from "./app.ts";
import { FIRST_COUNT, newData, type BenchData } from "./data.ts";
import { CONTROL_MICROS } from "./subjects.ts";

/** The handlers of a subject that is not ours; undefined when the name is of another. */
export function peer(name: string): Handlers | undefined {
  if (name === "bare") return bare();
  if (name === "control") return control();
  if (name === "express-session") return withExpressSession();
  return name === "iron-session" ? withIronSession() : undefined;
}

function bare(): Handlers {
  let count = FIRST_COUNT;
  return {
    seed: (_req, res) => void res.cookie("bench", randomBytes(32).toString("base64url")).end("seeded"),
    read: (_req, res) => void res.end("ada"),
    write: (_req, res) => void res.end(String(++count)),
    count: (_req, res) => void res.end(String(count)),
  };
}

/** A known cost: looks at the clock until the time is over. */
function control(): Handlers {
  return {
    ...bare(),
    read(_req, res) {
      const until = performance.now() + CONTROL_MICROS / 1000;
      while (performance.now() < until);
      res.end("ada");
    },
  };
}

function withExpressSession(): Handlers {
  const secret = randomBytes(32).toString("base64url");
  const dataOf = (req: Request): BenchData => req.session as unknown as BenchData;
  return {
    middleware: expressSession({ secret, resave: false, saveUninitialized: false }),
    seed(req, res) {
      Object.assign(req.session, newData());
      res.end("seeded");
    },
    read: (req, res) => void res.end(dataOf(req).user),
    write(req, res) {
      const data = dataOf(req);
      data.count++;
      res.end(String(data.count));
    },
    count: (req, res) => void res.end(String(dataOf(req).count)),
  };
}

function withIronSession(): Handlers {
  const options = { password: randomBytes(32).toString("base64url"), cookieName: "bench" };
  const sessionOf = (req: Request, res: Response): Promise<IronSession<BenchData>> =>
    getIronSession<BenchData>(req, res, options);
  return {
    async seed(req, res) {
      const session = await sessionOf(req, res);
      Object.assign(session, newData());
      await session.save();
      res.end("seeded");
    },
    async read(req, res) {
      const session = await sessionOf(req, res);
      res.end(session.user);
    },
    async write(req, res) {
      const session = await sessionOf(req, res);
      session.count = (session.count ?? 0) + 1;
      await session.save();
      res.end(String(session.count));
    },
    async count(req, res) {
      const session = await sessionOf(req, res);
      res.end(String(session.count));
    },
  };
}
