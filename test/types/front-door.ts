/**
 * The front door as an application's compiler sees it: this file only has to type-check.
 */
import type { Request as ExpressRequest, Response as ExpressResponse } from "express";
import express from "express";
import { createServer, type IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import {
  cookie,
  defineSession,
  header,
  keyRing,
  seal,
  sign,
  sticky,
  type DeepReadonly,
  type Session,
  type SessionCodec,
  type SessionDefinition,
  type Sticky,
} from "coatcheck";
import { ktorCookieSession, ktorForm, ktorHeaderSession, ktorJson, ktorSign } from "coatcheck/compat/ktor";
import { sessions } from "coatcheck/express";
import { withSessions as withFetchSessions } from "coatcheck/fetch";
import { withSessions } from "coatcheck/node";
import { memoryStore } from "coatcheck/store/memory";
import { sqliteStore } from "coatcheck/store/sqlite";

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function assert<Truth extends true>(): Truth {
  return true as Truth;
}

const user = defineSession({
  name: "user",
  schema: z.object({ name: z.string(), visits: z.number() }),
  store: memoryStore(),
  transport: cookie(),
  keys: process.env["SESSION_KEYS"],
  idleTimeout: "30m",
  absoluteTimeout: "12h",
  renewalTimeout: "15m",
  concurrency: "merge",
  onReplay: "end",
  onStoreError: "throw",
});

interface Prefs {
  theme: "light" | "dark";
  tags: string[];
}
const prefs = defineSession<Prefs>({ name: "prefs", keys: process.env["SESSION_KEYS"], revocation: "none" });

// The type of the data comes from the codec, where there is one.
const shared = { name: "shared", revocation: "none", absoluteTimeout: false } as const;
const fromKtor = defineSession({
  ...shared,
  ...ktorCookieSession({ serializer: ktorJson<Prefs>(), transform: [ktorSign({ key: "01" })] }),
});
assert<Equals<typeof fromKtor, SessionDefinition<Prefs>>>();
const formText = ktorForm({ theme: "string", tags: ["string"] });
const byHeader = defineSession({
  ...shared,
  ...ktorHeaderSession("X-Shared", { serializer: formText, transform: [] }),
});
assert<Equals<typeof byHeader, SessionDefinition<{ theme: string; tags: string[] }>>>();
const codec: SessionCodec<Prefs> = { read: (text) => JSON.parse(text) as Prefs, write: (data) => data.tags.join() };
assert<Equals<ReturnType<typeof withCodec>, SessionDefinition<Prefs>>>();
function withCodec() {
  return defineSession({ ...shared, keys: "", codec });
}
defineSession<Prefs>({ ...shared, keys: "", codec });
// @ts-expect-error what the codec reads is not what is asked for
defineSession<{ visits: number }>({ ...shared, keys: "", codec });

const trusting = defineSession<Prefs>({
  name: "trusting",
  store: memoryStore(),
  keys: process.env["SESSION_KEYS"],
  trustFor: "30s",
  protection: seal({ openedTokens: 100 }),
});
assert<Equals<typeof trusting, SessionDefinition<Prefs>>>();
defineSession<Prefs>({ name: "distrusting", store: memoryStore(), trustFor: false });
// @ts-expect-error a duration has a unit
defineSession<Prefs>({ name: "trusting", store: memoryStore(), keys: "", trustFor: "30 seconds" });

const app = express();
app.use(sessions(user, prefs));
app.get("/", async (req, res) => {
  const session = await user.from(req);
  assert<Equals<typeof session, Session<{ name: string; visits: number }>>>();
  assert<Equals<typeof session.data, DeepReadonly<{ name: string; visits: number }> | undefined>>();
  session.set({ name: "Ada", visits: 1 });
  session.patch({ visits: 2 });
  session.update((d) => ({ ...d, visits: (d?.visits ?? 0) + 1 }));
  session.authenticate("user-42");
  session.authenticate("user-42", { level: "mfa", keep: ["name"] });
  session.regenerate();
  session.flash("notice", "Saved");
  session.takeFlash("notice");
  session.destroy();
  await session.commit();
  assert<Equals<typeof session.id, string>>();
  assert<Equals<typeof session.isNew, boolean>>();
  assert<Equals<typeof session.subject, string | undefined>>();
  assert<Equals<typeof session.authenticatedAt, number | undefined>>();
  void [session.createdAt, session.lastSeenAt, session.expiresAt];
  // @ts-expect-error data is not to be changed in place
  if (session.data !== undefined) session.data.visits = 3;
  // @ts-expect-error a key that the schema does not have
  session.patch({ vists: 2 });
  // @ts-expect-error a wrong type
  session.set({ name: "Ada", visits: "1" });
  // @ts-expect-error a missing key
  session.set({ name: "Ada" });
  // @ts-expect-error keep takes keys of the data
  session.authenticate("user-42", { keep: ["cart"] });
  res.send("ok");
});

export async function everyRequest(
  node: IncomingMessage,
  http2: Http2ServerRequest,
  web: Request,
  fromExpress: ExpressRequest,
  response: ExpressResponse,
): Promise<void> {
  await user.from(node);
  await user.from(http2);
  await user.from(web);
  await user.from(fromExpress);
  await user.from({ raw: node });
  await user.from({ req: { raw: web } });
  await user.from({ req: node, res: {}, request: {} });
  await user.from({ req: web });
  await user.from({ node: { req: node } });
  // @ts-expect-error a response is not a request
  await user.from(response);
  // @ts-expect-error nothing is not a request
  await user.from(undefined);
  const session = await prefs.from(web);
  assert<Equals<typeof session, Session<Prefs>>>();
  session.set({ theme: "dark", tags: ["a"] });
  session.set({ theme: "dark", ...session.data, tags: [...(session.data?.tags ?? []), "b"] });
  session.patch({ tags: undefined });
  // @ts-expect-error an array in the data is readonly
  session.data?.tags.push("c");
}

const untyped = defineSession({ name: "untyped", store: memoryStore() });
export async function forgotten(web: Request): Promise<void> {
  // @ts-expect-error neither a schema nor a type was given
  (await untyped.from(web)).set({ theme: "dark" });
}

withSessions((_req: IncomingMessage, res) => void res.end(), user, prefs);
createServer(withSessions((req, res) => void res.end(req.url), user));
sqliteStore(new DatabaseSync(":memory:"));
sqliteStore("sessions.db", { synchronous: "full" });
withFetchSessions(async (request: Request, env: { db: string }) => new Response(`${request.url}${env.db}`), user);
defineSession<Prefs>({ name: "api", store: memoryStore(), transport: header("X-Session") });
defineSession<Prefs>({
  name: "signed",
  keys: keyRing("…"),
  protection: sign({ algorithm: "sha512" }),
  revocation: "none",
});
defineSession<Prefs>({ name: "sealed", keys: ["…"], protection: seal(), revocation: memoryStore() });
const here: Sticky = sticky({ route: "a" });
defineSession<Prefs>({ name: "bound", store: memoryStore(), sticky: here });
export async function drained(): Promise<void> {
  const { handedOver, quiet } = await here.drain({ quietFor: "5s", atMost: 60 });
  assert<Equals<[typeof handedOver, typeof quiet, typeof here.state], [number, boolean, "serving" | "draining"]>>();
  here.resume();
}
// @ts-expect-error a server without a name
sticky({});
// @ts-expect-error an option that does not exist
defineSession<Prefs>({ name: "user", secret: "keyboard cat" });
// @ts-expect-error a duration that is none
defineSession<Prefs>({ name: "user", store: memoryStore(), idleTimeout: "30 minutes" });

export async function managed(): Promise<void> {
  const all = await user.manager.list("user-42");
  for (const { id, createdAt } of all) void [id.length, createdAt + 1];
  const ended: boolean = await user.manager.revoke("id");
  const count: number = await user.manager.revokeAll("user-42", { except: "id" });
  const total: number = await user.manager.count();
  const off = user.manager.on("rejected", ({ reason, id }) => void [reason, id]);
  off();
  void [ended, count, total, user.manager.describe()["idleTimeout"]];
}
