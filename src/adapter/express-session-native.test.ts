import { createRequire } from "node:module";
import flash from "connect-flash";
import express, { type RequestHandler } from "express";
import passport from "passport";
import { describe, expect, test } from "vitest";
import { serving, type Answer, type Serving } from "../../test/express-session/serving.ts";
import { defineSession } from "../define-session.ts";
import type { SessionDefinition } from "../definition.ts";
import { memoryStore } from "../store/memory.ts";
import { cookie as cookieTransport } from "../transport/cookie.ts";
import { sessions } from "./express.ts";
import { asExpressSession, MemoryStore, session } from "./express-session.ts";

interface UserData {
  passport?: { user?: string };
  flash?: Record<string, string[]>;
  cart?: string[];
}

type Done = (error?: unknown) => void;
interface Req {
  session: Record<string, unknown> & { id: string; regenerate(done: Done): unknown; destroy(): Promise<void> };
  user?: { id: string };
  logIn(user: object, options: object, done: Done): void;
  logOut(options: object, done: Done): void;
  flash(name: string, message?: string): string[];
}

/** Signs in whoever the header names. */
const headerStrategy: passport.Strategy = Object.assign(
  Object.create(passport.Strategy.prototype) as passport.Strategy,
  {
    name: "header",
    authenticate(this: passport.StrategyCreatedStatic, req: { headers: { user?: string } }): void {
      const { user } = req.headers;
      if (user === undefined) this.fail(401);
      else this.success({ id: user });
    },
  },
);

/** A shop that uses passport and connect-flash. */
function shop(...middleware: readonly RequestHandler[]): express.Express {
  const pass = new passport.Passport();
  pass.use(headerStrategy);
  pass.serializeUser((user, done) => done(null, (user as { id: string }).id));
  pass.deserializeUser((id: string, done) => done(null, { id }));
  const asReq = (req: unknown): Req => req as Req;
  return express()
    .use(...middleware)
    .use(flash())
    .use(pass.initialize())
    .use(pass.session())
    .post("/in", pass.authenticate("header", { keepSessionInfo: true }), (req, res) => {
      asReq(req).flash("notice", "welcome");
      res.redirect("/");
    })
    .post("/out", (req, res, next) => asReq(req).logOut({}, (error) => (error ? next(error) : res.redirect("/"))))
    .post("/cart", (req, res) => {
      const { session: current } = asReq(req);
      ((current["cart"] ??= []) as string[]).push("apple");
      res.end();
    })
    .get("/", (req, res) => {
      const { user, session: current } = asReq(req);
      res.json({ user: user?.id, notice: asReq(req).flash("notice"), cart: current["cart"] });
    });
}

/** A browser of one tab. */
function client({ ask }: Serving): (method: string, path: string, user?: string) => Promise<Answer> {
  let cookie: string | undefined;
  return async (method, path, user) => {
    const answer = await ask({ method, path, cookie, headers: user === undefined ? {} : { user } });
    cookie = answer.cookie ?? cookie;
    return answer;
  };
}

function definition(): SessionDefinition<UserData> {
  return defineSession<UserData>({
    name: "user",
    store: memoryStore(),
    transport: cookieTransport({ secure: false }),
  });
}

const kinds: Record<string, () => readonly RequestHandler[]> = {
  "the original": () => {
    const original = createRequire(import.meta.url)("express-session") as typeof session;
    return [original({ secret: "s", resave: false, saveUninitialized: false }) as RequestHandler];
  },
  "the drop-in": () => [session({ secret: "s", resave: false, saveUninitialized: false, store: new MemoryStore() })],
  "a native session": () => {
    const user = definition();
    const subject = (data: UserData): string | undefined => data.passport?.user;
    return [sessions(user), asExpressSession(user, { subject })] as RequestHandler[];
  },
};

describe.each(Object.entries(kinds))("passport and connect-flash on %s", (_, make) => {
  test("sign-in keeps the cart and changes the session's secret; the message comes once; sign-out ends it", async () => {
    await serving(shop(...make()), async (server) => {
      const visit = client(server);
      await visit("POST", "/cart");
      const guest = await visit("POST", "/cart");
      expect(JSON.parse((await visit("GET", "/")).body)).toEqual({ notice: [], cart: ["apple", "apple"] });
      const signedIn = await visit("POST", "/in", "ada");
      expect([signedIn.status, signedIn.setCookies.length]).toEqual([302, 1]);
      expect(signedIn.cookie).not.toBe(guest.cookie);
      const first = JSON.parse((await visit("GET", "/")).body) as unknown;
      expect(first).toEqual({ user: "ada", notice: ["welcome"], cart: ["apple", "apple"] });
      expect(JSON.parse((await visit("GET", "/")).body)).toMatchObject({ user: "ada", notice: [] });
      expect((await visit("POST", "/in")).status).toBe(401);
      await visit("POST", "/out");
      expect(JSON.parse((await visit("GET", "/")).body)).toEqual({ notice: [] });
      // What the client had before is worth nothing any more.
      const { body } = await server.ask({ cookie: signedIn.cookie });
      expect(JSON.parse(body)).toEqual({ notice: [] });
    });
  });
});

describe("a native session on req.session", () => {
  test("can be listed and revoked, by the subject that passport's data names", async () => {
    const user = definition();
    const app = shop(
      sessions(user) as RequestHandler,
      asExpressSession(user, { subject: (data) => data.passport?.user }),
    );
    await serving(app, async (server) => {
      const visit = client(server);
      await visit("POST", "/in", "ada");
      expect(await user.manager.list("ada")).toMatchObject([{ subject: "ada" }]);
      expect(await user.manager.revokeAll("ada")).toBe(1);
      expect(JSON.parse((await visit("GET", "/")).body)).not.toHaveProperty("user");
    });
  });

  test("a request that changes nothing writes nothing and sets no cookie", async () => {
    const user = definition();
    const app = express()
      .use(sessions(user) as RequestHandler, asExpressSession(user))
      .get("/", (req, res) => void res.json((req as unknown as Req).session));
    await serving(app, async ({ ask }) => {
      const first = await ask();
      expect(first.body).toBe("{}");
      expect(first.setCookies).toEqual([]);
      expect(await user.manager.count()).toBe(0);
    });
  });

  test("data that the definition refuses is an error, and is not written", async () => {
    const user = definition();
    const app = express()
      .use(sessions(user) as RequestHandler, asExpressSession(user))
      .get("/", (req, res) => {
        (req as unknown as Req).session["when"] = new Date();
        res.end("fine");
      });
    app.use(((_error, _req, res, _next) => void res.status(500).end("refused")) as express.ErrorRequestHandler);
    await serving(app, async ({ ask }) => {
      expect(await ask()).toMatchObject({ status: 500, body: "refused", setCookies: [] });
      expect(await user.manager.count()).toBe(0);
    });
  });

  test("destroy() ends it, data cannot hide methods, and without the adapter it says how to install it", async () => {
    const user = definition();
    const app = express()
      .use(sessions(user) as RequestHandler)
      .use("/native", async (req, res) => {
        const native = await user.from(req);
        native.set({ cart: ["apple"], save: "no" } as never);
        res.end();
      })
      .use(asExpressSession(user) as RequestHandler)
      .get("/look", async (req, res) => {
        const { session: current } = req as unknown as Req;
        current["cart"] = ["pear"];
        res.json([typeof current["save"], Object.keys(current), current.id.length > 10]);
      })
      .get("/out", async (req, res) => {
        await (req as unknown as Req).session.destroy();
        res.json((req as unknown as Partial<Req>).session ?? null);
      });
    await serving(app, async (server) => {
      const visit = client(server);
      await visit("GET", "/native");
      expect(JSON.parse((await visit("GET", "/look")).body)).toEqual(["function", ["cart"], true]);
      expect(await user.manager.count()).toBe(1);
      expect((await visit("GET", "/out")).body).toBe("null");
      expect(await user.manager.count()).toBe(0);
    });
    const errors: unknown[] = [];
    asExpressSession(user)({} as never, {} as never, (error) => errors.push(error));
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining("not installed") as string })]);
    expect(() => asExpressSession({} as never)).toThrow(TypeError);
    expect(() => asExpressSession(user, { subjects: () => "" } as never)).toThrow(/subjects/);
  });
});
