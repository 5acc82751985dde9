/**
 * better-auth on Express, set up as its documentation says. Only its session is read; it has none without a user.
 *
 * @module
 */
import { randomBytes, randomUUID } from "node:crypto";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { fromNodeHeaders } from "better-auth/node";
import type { Express, Request, Response } from "express";
import { ANSWERS, type BenchData } from "../data.ts";
import type { Hosted } from "../host.ts";
import type { Site } from "../site.ts";

/** `cached`: sessions are also kept in a signed cookie, for five minutes. */
export function withBetterAuth({ newData }: Site, cached: boolean): Hosted<Express, Request, Response> {
  const auth = betterAuth({
    baseURL: "http://127.0.0.1",
    secret: randomBytes(32).toString("base64url"),
    database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
    telemetry: { enabled: false },
    emailAndPassword: {
      enabled: true,
      // Passwords are not what is measured, and theirs are slow on purpose.
      password: { hash: async (password) => password, verify: async ({ hash, password }) => hash === password },
    },
    session: {
      cookieCache: { enabled: cached },
      additionalFields: {
        data: { type: "string", input: false, defaultValue: () => JSON.stringify(newData()) },
      },
    },
  });
  const start = async (res: Response, answer: string): Promise<string> => {
    const body = { name: newData().user, email: `${randomUUID()}@example.com`, password: randomUUID() };
    const { headers } = await auth.api.signUpEmail({ body, returnHeaders: true });
    for (const cookie of headers.getSetCookie()) res.append("Set-Cookie", cookie);
    return answer;
  };
  const dataOf = async (req: Request): Promise<BenchData | null> => {
    const found = await auth.api.getSession({ headers: fromNodeHeaders(req.headers) });
    return JSON.parse(found?.session.data ?? "null") as BenchData | null;
  };
  return {
    handlers: {
      seed: (_req, res) => start(res, ANSWERS.seed),
      signIn: (_req, res) => start(res, ANSWERS["sign-in"]),
      read: async (req) => String((await dataOf(req))?.user),
      write: async (req) => String((await dataOf(req))?.count),
      count: async (req) => String((await dataOf(req))?.count),
    },
  };
}
