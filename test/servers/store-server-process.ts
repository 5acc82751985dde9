/**
 * A process with the store verbs over HTTP and nothing else of a session server: the credential is the namespace. Takes what
 * {@link StoreServerOrders} says, as JSON in its first argument.
 */
import { createServer, type IncomingMessage } from "node:http";
import { Pool } from "pg";
import { createClient } from "redis";
import { type Answer, Refusal, send } from "../../src/server/endpoint.ts";
import { namespacedStore } from "../../src/server/namespaced-store.ts";
import { storeEndpoint } from "../../src/server/store-endpoint.ts";
import { postgresStore } from "../../src/store/postgres.ts";
import { redisStore } from "../../src/store/redis.ts";
import { sqliteStore } from "../../src/store/sqlite.ts";
import type { SessionStore } from "../../src/store/store.ts";
import { postgresAt } from "./postgres.ts";

/** What the process is told. */
export interface StoreServerOrders {
  readonly port: number;
  readonly engine:
    | { readonly kind: "sqlite"; readonly path: string }
    | { readonly kind: "redis" | "postgres"; readonly port: number };
  /** In milliseconds. */
  readonly timeout: number;
}

const { port, engine, timeout } = JSON.parse(process.argv[2] ?? "{}") as StoreServerOrders;

async function opened(): Promise<SessionStore> {
  if (engine.kind === "sqlite") return sqliteStore(engine.path);
  if (engine.kind === "redis") {
    const client = createClient({ url: `redis://127.0.0.1:${engine.port}` });
    client.on("error", () => {});
    await client.connect();
    return redisStore(client, { watch: true });
  }
  const pool = new Pool({ ...postgresAt(engine.port), max: 8 });
  pool.on("error", () => {});
  const store = postgresStore(pool, { watch: true });
  await store.createSchema();
  return store;
}

async function bodyOf(req: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

const store = await opened();
const endpoint = storeEndpoint({ timeout });

async function answerTo(req: IncomingMessage, res: Parameters<typeof send>[0]): Promise<Answer | undefined> {
  const namespace = /^Bearer ([a-z0-9]+)$/.exec(req.headers.authorization ?? "")?.[1];
  if (namespace === undefined) return new Refusal(401, "unauthorized", "No").answer;
  const gone = new AbortController();
  res.once("close", () => gone.abort());
  const { pathname, searchParams } = new URL(req.url ?? "", "http://localhost");
  if (!pathname.startsWith("/v1/store")) return new Refusal(404, "not-found", "No").answer;
  return await endpoint({
    req,
    res,
    caller: { application: namespace, namespace, store: namespacedStore(store, namespace) },
    path: pathname.split("/").slice(3),
    query: searchParams,
    body: () => bodyOf(req),
    signal: gone.signal,
  });
}

createServer((req, res) => {
  const failed = (error: unknown): Answer =>
    error instanceof Refusal ? error.answer : { status: 500, body: { error: "internal", message: "" } };
  void answerTo(req, res)
    .catch(failed)
    .then((answer) => answer && send(res, answer));
}).listen(port, "127.0.0.1");
