import express, { type RequestHandler } from "express";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  session as dropIn,
  toExpressStore,
  type ExpressStore,
  type SessionOptions,
} from "../../src/adapter/express-session.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { freePorts } from "../servers/server-process.ts";
import { describeWithServers } from "../servers/require.ts";
import { FOREIGN_KINDS, originalSession, type ForeignKind, type ForeignPlace } from "./foreign-stores.ts";
import { serve, serving, type Answer } from "./serving.ts";

type Data = Record<string, unknown>;
type Middleware = typeof dropIn;
const original = originalSession as unknown as Middleware;

/** A shop, as it is whoever keeps its sessions. */
function shop(make: Middleware, options: SessionOptions<never>): express.Express {
  const dataOf = (req: unknown): Data => (req as { session: Data }).session;
  return express()
    .use(make({ secret: ["new secret", "keyboard cat"], ...options } as never) as RequestHandler)
    .post("/in", (req, res) => {
      (req as unknown as { session: { regenerate(done: () => void): void } }).session.regenerate(() => {
        dataOf(req)["user"] = "ada";
        res.redirect("/");
      });
    })
    .post("/cart", (req, res) => {
      ((dataOf(req)["cart"] ??= []) as string[]).push("äpple");
      res.end();
    })
    .post("/out", (req, res) => {
      (req as unknown as { session: { destroy(done: () => void): void } }).session.destroy(() => res.redirect("/"));
    })
    .get("/", (req, res) => void res.json({ user: dataOf(req)["user"], cart: dataOf(req)["cart"] }));
}

const OURS: ForeignKind = {
  name: "toExpressStore over a store of ours",
  programs: [],
  shared: true,
  async start() {
    const store = memoryStore();
    return { open: async () => toExpressStore(store) as ExpressStore, stop: async () => {} };
  },
};

const OPTIONS: Record<string, SessionOptions<never>> = {
  "as most configure it": { resave: false, saveUninitialized: false, cookie: { maxAge: 3_600_000 } },
  "with the defaults": {},
  "rolling, until the browser is closed": { resave: false, saveUninitialized: true, rolling: true },
};

for (const { name, programs, shared, start } of [...FOREIGN_KINDS, OURS]) {
  describeWithServers(`sessions in ${name}`, programs, () => {
    let place: ForeignPlace;
    beforeAll(async () => {
      place = await start();
    });
    afterAll(() => place.stop());

    for (const [how, options] of Object.entries(OPTIONS)) {
      test(`${how}: the client stays signed in, its cart intact, when the server is swapped, and swapped back`, async () => {
        const [port = 0] = await freePorts(1);
        const only = await place.open();
        let cookie: string | undefined;
        const under = async (
          make: Middleware,
          work: (visit: (method: string, path: string) => Promise<Answer>) => unknown,
        ) => {
          const store = shared ? await place.open() : only;
          const server = await serve(shop(make, { ...options, store }), port);
          try {
            await work(async (method, path) => {
              const answer = await server.ask({ method, path, cookie });
              cookie = answer.cookie ?? cookie;
              return answer;
            });
          } finally {
            await server.stop();
          }
        };
        const cart: string[] = [];
        await under(original, async (visit) => {
          await visit("POST", "/in");
          await visit("POST", "/cart");
          cart.push("äpple");
        });
        for (const make of [dropIn, original, dropIn]) {
          await under(make, async (visit) => {
            expect(JSON.parse((await visit("GET", "/")).body)).toEqual({ user: "ada", cart });
            await visit("POST", "/cart");
            cart.push("äpple");
            expect(JSON.parse((await visit("GET", "/")).body)).toEqual({ user: "ada", cart });
          });
        }
        await under(original, async (visit) => {
          await visit("POST", "/out");
          expect(JSON.parse((await visit("GET", "/")).body)).toEqual({});
        });
        // What began with the drop-in goes on with the original.
        cookie = undefined;
        await under(dropIn, (visit) => visit("POST", "/in"));
        await under(original, async (visit) => {
          expect(JSON.parse((await visit("GET", "/")).body)).toEqual({ user: "ada" });
        });
      });
    }

    test("records and cookies are the same, byte by byte", async () => {
      const written: unknown[] = [];
      for (const make of [original, dropIn]) {
        const store = await place.open();
        const records: string[] = [];
        const set = store.set.bind(store);
        store.set = (id, session, done) => {
          records.push(JSON.stringify(session));
          return set(id, session, done);
        };
        const options = {
          store,
          genid: () => "fixed",
          cookie: { maxAge: 3_600_000, sameSite: "lax", domain: "a.example" },
        };
        await serving(shop(make, options as never), async ({ ask }) => {
          const { setCookies } = await ask({ method: "POST", path: "/cart" });
          written.push([records, setCookies].map((texts) => texts.map(withoutTimes)));
        });
        await new Promise((resolve) => void store.destroy("fixed", resolve));
      }
      expect(written[1]).toEqual(written[0]);
    });
  });
}

function withoutTimes(text: string): string {
  return text
    .replace(/"originalMaxAge":\d+/, '"originalMaxAge":…')
    .replace(/"expires":"[^"]+"/, '"expires":…')
    .replace(/"__lastAccess":\d+/, '"__lastAccess":…')
    .replace(/Expires=[^;]+/, "Expires=…");
}

test("express-session itself, on a store of ours, cannot bring back a session that has ended", async () => {
  const store = memoryStore();
  let [arrived, proceed]: (() => void)[] = [() => {}, () => {}];
  const hasArrived = new Promise<void>((resolve) => (arrived = resolve));
  const mayProceed = new Promise<void>((resolve) => (proceed = resolve));
  const app = shop(original, { ...OPTIONS["as most configure it"], store: toExpressStore(store) as ExpressStore });
  app.get("/slow", async (req, res) => {
    arrived?.();
    await mayProceed;
    (req as unknown as { session: Data }).session["late"] = true;
    res.end();
  });
  await serving(app, async ({ ask }) => {
    const { cookie } = await ask({ method: "POST", path: "/in" });
    const slow = ask({ path: "/slow", cookie });
    await hasArrived;
    await ask({ method: "POST", path: "/out", cookie });
    proceed?.();
    await slow;
    expect(JSON.parse((await ask({ cookie })).body)).toEqual({});
  });
});
