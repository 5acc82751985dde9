/**
 * The drop-in for express-session as an application's compiler sees it, without `@types/express-session`: this file only has to
 * type-check.
 */
import express from "express";
import { createServer } from "node:http";
import { defineSession, type SessionStore } from "coatcheck";
// oxlint-disable-next-line import/no-named-as-default -- they are the same
import session, {
  asExpressSession,
  Cookie,
  MemoryStore,
  Session as SessionClass,
  session as named,
  Store,
  toExpressStore,
  type Session,
  type SessionMiddleware,
  type SessionOptions,
} from "coatcheck/express-session";
import { memoryStore } from "coatcheck/store/memory";
import { expressSessionStore, type ExpressStore } from "coatcheck/store/express-session";

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function assert<Truth extends true>(): Truth {
  return true as Truth;
}

// --- by declaration merging -----------------------------------------------------------------------------------------------

declare module "coatcheck/express-session" {
  interface SessionData {
    theme: "light" | "dark";
    cart: string[];
  }
}

const app = express();
app.use(session({ secret: "s", resave: false, saveUninitialized: false, cookie: { maxAge: 1000, sameSite: "auto" } }));
app.use(
  "/path",
  named({ secret: ["a", "b"], genid: (req) => req.url ?? "", cookie: (req) => ({ path: req.url ?? "/" }) }),
);
app.get("/", async (req, res) => {
  assert<Equals<typeof req.session.theme, "light" | "dark" | undefined>>();
  req.session.cart = [...(req.session.cart ?? []), "apple"];
  // @ts-expect-error no such theme
  req.session.theme = "blue";
  // @ts-expect-error nobody said that sessions have this
  req.session.colour = "blue";
  req.session.cookie.maxAge = 60_000;
  req.session.cookie.expires = null;
  req.session.save((error) => void error);
  await req.session.save();
  await req.session.regenerate();
  await req.session.reload();
  await req.session.destroy();
  assert<Equals<typeof req.sessionID, string>>();
  req.sessionStore.get(req.sessionID, (error, record) => void [error, record]);
  res.end(req.session.id);
});

// --- without -------------------------------------------------------------------------------------------------------------

interface Shop {
  userId: string;
}
const shop = session<Shop>({ secret: "s" });
assert<Equals<typeof shop, SessionMiddleware<Shop>>>();
app.use(shop);
app.get("/shop", async (req, res) => {
  const current = shop.from(req);
  assert<Equals<typeof current, Session<Shop>>>();
  assert<Equals<typeof current.userId, string | undefined>>();
  // @ts-expect-error of another middleware
  current.theme = "dark";
  assert<Equals<ReturnType<typeof current.regenerate>, typeof current>>();
  await current.save();
  current.touch().cookie.maxAge = 1;
  res.end();
});
createServer((req, res) => shop(req, res, (error) => res.end(String(error ?? shop.from(req).userId))));

// --- classes and stores --------------------------------------------------------------------------------------------------

class MyStore extends Store {
  get(_id: string, done: (error: unknown, session?: { cookie: object } | null) => void): void {
    done(null, null);
  }
  set(_id: string, _session: object, done?: (error?: unknown) => void): void {
    done?.();
  }
  destroy(_id: string, done?: (error?: unknown) => void): void {
    done?.();
  }
}
const options: SessionOptions = { secret: Buffer.alloc(32), store: new MyStore() };
session({ ...options, store: memoryStore() });
session({ ...options, store: toExpressStore(memoryStore(), { prefix: "legacy/", ttl: "2d" }) });
session({
  ...options,
  store: new session.MemoryStore(),
  unset: "destroy",
  rolling: true,
  proxy: true,
  storeTimeout: "5s",
});
// @ts-expect-error no such option
session({ ...options, unset: "never" });
// @ts-expect-error a store has get, set and destroy
session({ ...options, store: {} });
const wrapped: SessionStore = expressSessionStore(new MyStore());
const stores: ExpressStore[] = [new MyStore(), new MemoryStore(), toExpressStore(memoryStore())];
void [stores, new Cookie({ maxAge: 1 }).data.path, SessionClass, session.Cookie === Cookie];

// --- the definition on req.session ---------------------------------------------------------------------------------------

const user = defineSession<{ passport?: { user?: string } }>({ name: "user", store: wrapped });
app.use(asExpressSession(user, { subject: (data) => data.passport?.user }));
// @ts-expect-error a subject is a text
asExpressSession(user, { subject: () => 1 });
