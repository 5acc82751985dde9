/**
 * Libraries for Hono, and React Router's sessions, which take any `Request`, set up as their documentation says.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { useSession, type Session as JweSession } from "@hono/session";
import type { Context, Hono } from "hono";
import { setCookie } from "hono/cookie";
import { MemoryStore, sessionMiddleware, type Session as HonoSession } from "hono-sessions";
import { createCookieSessionStorage, type Session as RouterSession } from "react-router";
import { ANSWERS, FIRST_COUNT, type BenchData } from "../data.ts";
import type { Hosted } from "../host.ts";
import type { Site } from "../site.ts";
import type { Kind } from "../subjects.ts";

type OnHono = Hosted<Hono, Context, Context>;

/** A subject that is not ours; undefined when there is none of that kind. */
export function honoPeer(kind: Kind, site: Site): OnHono | undefined {
  if (kind === "bare") return bare();
  if (kind === "hono-sessions") return withHonoSessions(site, randomBytes(32).toString("base64url"));
  if (kind === "hono-sessions-plain") return withHonoSessions(site);
  if (kind === "@hono/session") return withJwe(site);
  return kind === "react-router" ? withReactRouter(site) : undefined;
}

function bare(): OnHono {
  let count = FIRST_COUNT;
  const start = (c: Context, answer: string): string => {
    setCookie(c, "bench", randomBytes(32).toString("base64url"));
    return answer;
  };
  return {
    handlers: {
      seed: (c) => start(c, ANSWERS.seed),
      signIn: (c) => start(c, ANSWERS["sign-in"]),
      read: () => ANSWERS.read,
      write: () => String(++count),
      count: () => String(count),
    },
  };
}

/** Its documentation recommends a key for the ids; without one it is cheaper. */
function withHonoSessions({ newData }: Site, encryptionKey?: string): OnHono {
  const options = { store: new MemoryStore(), ...(encryptionKey !== undefined && { encryptionKey }) };
  const of = (c: Context): HonoSession<BenchData> => c.get("session") as HonoSession<BenchData>;
  const start = (c: Context, answer: string): string => {
    const data = newData();
    for (const name of Object.keys(data) as (keyof BenchData)[]) of(c).set(name, data[name]);
    return answer;
  };
  return {
    install: (app) => app.use("*", sessionMiddleware(options)),
    handlers: {
      seed: (c) => start(c, ANSWERS.seed),
      signIn(c) {
        c.set("session_key_rotation", true);
        return start(c, ANSWERS["sign-in"]);
      },
      read: (c) => String(of(c).get("user")),
      write(c) {
        const count = Number(of(c).get("count")) + 1;
        of(c).set("count", count);
        return String(count);
      },
      count: (c) => String(of(c).get("count")),
    },
  };
}

function withJwe({ newData }: Site): OnHono {
  const of = (c: Context): JweSession<BenchData> => c.get("session") as JweSession<BenchData>;
  const start = async (c: Context, answer: string): Promise<string> => {
    await of(c).update(newData());
    return answer;
  };
  return {
    install: (app) => app.use(useSession({ secret: randomBytes(32).toString("base64url") })),
    handlers: {
      seed: (c) => start(c, ANSWERS.seed),
      signIn: (c) => start(c, ANSWERS["sign-in"]),
      read: async (c) => String((await of(c).get())?.user),
      async write(c) {
        const session = of(c);
        await session.update((data) => ({ ...(data ?? newData()), count: Number(data?.count) + 1 }));
        return String(session.data?.count);
      },
      count: async (c) => String((await of(c).get())?.count),
    },
  };
}

/** Signed only. It leaves the cookie to the caller. */
function withReactRouter({ newData }: Site): OnHono {
  const { getSession, commitSession } = createCookieSessionStorage<BenchData>({
    cookie: { name: "bench", secrets: [randomBytes(32).toString("base64url")] },
  });
  const of = (c: Context): Promise<RouterSession<BenchData>> => getSession(c.req.header("Cookie"));
  const start = async (c: Context, answer: string): Promise<string> => {
    const session = await of(c);
    const data = newData();
    for (const name of Object.keys(data) as (keyof BenchData)[]) session.set(name, data[name] as never);
    c.header("Set-Cookie", await commitSession(session));
    return answer;
  };
  return {
    handlers: {
      seed: (c) => start(c, ANSWERS.seed),
      signIn: (c) => start(c, ANSWERS["sign-in"]),
      read: async (c) => String((await of(c)).get("user")),
      async write(c) {
        const session = await of(c);
        const count = Number(session.get("count")) + 1;
        session.set("count", count);
        c.header("Set-Cookie", await commitSession(session));
        return String(count);
      },
      count: async (c) => String((await of(c)).get("count")),
    },
  };
}
