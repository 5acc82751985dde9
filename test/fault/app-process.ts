/**
 * An app over a store, in a process of its own: what the clients of a run talk to. Started by app.ts, which tells it by its
 * first argument what store to open; it ends with the process that started it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { withSessions } from "../../src/adapter/node.ts";
import { defineSession, type Session, type SessionStore } from "../../src/index.ts";
import { systemClock } from "../../src/internal/clock.ts";
import type { NearCache } from "../../src/store/near-cache.ts";
import type { RequestLine, SessionData } from "./history.ts";
import { openStore, type StoreOrders } from "./stores.ts";

/** What a process is told. */
export interface AppOrders {
  readonly store: StoreOrders;
  /** In milliseconds. */
  readonly storeTimeout: number;
  /** How far its clock is ahead, in milliseconds. Default not at all. */
  readonly skew?: number | undefined;
}

/** What an app says of a request that it could answer. */
export type AppAnswer = Pick<RequestLine, "outcome" | "loaded" | "session" | "began" | "ended" | "endedAll"> & {
  /** When the app asked for the session, in milliseconds since the epoch. */
  readonly servedAt?: number;
};

/** `n`, `log`, and one key for each request that set one. */
type Data = Record<string, number | string[]>;

const orders = JSON.parse(process.argv[2] ?? "{}") as AppOrders;
let deaf = false;
const store = await openStore(orders.store, deafened);
const user = defineSession<Data>({
  name: "user",
  store,
  idleTimeout: orders.store.near === undefined ? "60s" : "10m",
  renewalTimeout: "2s",
  storeTimeout: orders.storeTimeout / 1000,
  clock: { now: () => Date.now() + (orders.skew ?? 0), after: systemClock.after },
});

type Act = (session: Session<Data>, query: URLSearchParams) => Promise<AppAnswer>;

const acts: Readonly<Record<RequestLine["action"], Act>> = {
  "sign-in": async (session, query) => {
    const loaded = session.isNew ? undefined : session.id;
    session.destroy();
    session.set({ n: 0, log: [] });
    session.authenticate(query.get("subject") ?? "");
    const answer = { ...(await committed(session, query)), began: dataOf(session.data) };
    return loaded === undefined ? answer : { ...answer, loaded, ended: [loaded] };
  },
  add: changing((session) => session.update((data) => ({ ...data, n: Number(data?.["n"] ?? 0) + 1 }))),
  append: changing((session, query) =>
    session.update((data) => ({ ...data, log: [...logOf(data), query.get("entry") ?? ""] })),
  ),
  key: changing((session, query) => session.patch({ [query.get("entry") ?? ""]: 1 })),
  read: async (session) => ({ outcome: "unchanged", loaded: session.id, session: session.id }),
  rotate: async (session, query) => {
    const loaded = session.id;
    if (query.get("how") === "regenerate") session.regenerate();
    else session.authenticate(session.subject ?? "");
    const answer = { ...(await committed(session, query)), loaded };
    return session.id === loaded ? answer : { ...answer, began: dataOf(session.data) };
  },
  "sign-out": async (session, query) => {
    const loaded = session.id;
    session.destroy();
    const { outcome } = await committed(session, query);
    return { outcome, loaded, ended: [loaded] };
  },
  revoke: async ({ id, subject = "" }, query) => {
    // Memcached finds nothing by its subject.
    const endedAll = query.get("how") === "all" && store.listBySubject !== undefined;
    if (endedAll) await user.manager.revokeAll(subject);
    else await user.manager.revoke(id);
    return { outcome: "written", loaded: id, ended: [id], endedAll };
  },
};

/** What the harness itself asks. */
const questions: Readonly<Record<string, (query: URLSearchParams) => Promise<unknown>>> = {
  final: (query) => finalOf(query.get("session") ?? ""),
  count: () => user.manager.count(),
  deaf: (query) => Promise.resolve({ deaf: (deaf = query.get("on") === "1") }),
  stats: () => Promise.resolve((store as Partial<NearCache>).stats?.() ?? null),
};

const server = createServer(
  withSessions(async (req: IncomingMessage, res: ServerResponse) => {
    const url = new URL(req.url ?? "/", "http://localhost");
    const name = url.pathname.slice(1);
    res.setHeader("Content-Type", "application/json");
    const { searchParams: query } = url;
    const answer = await (questions[name]?.(query) ?? answerTo(name as RequestLine["action"], req, query));
    res.end(JSON.stringify(answer));
  }, user),
);
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on("disconnect", () => process.exit());

async function answerTo(
  action: RequestLine["action"],
  req: IncomingMessage,
  query: URLSearchParams,
): Promise<AppAnswer> {
  const servedAt = Date.now();
  const session = await user.from(req);
  if (session.isNew && action !== "sign-in") return { outcome: "anonymous" };
  return { ...(await acts[action](session, query)), servedAt };
}

/** A store whose news get lost while somebody wants that, and nobody notices. */
function deafened(whole: SessionStore): SessionStore {
  const { watch } = whole;
  if (watch === undefined) return whole;
  const hears: SessionStore["watch"] = (listener, gaps) =>
    watch.call(whole, (key, change) => void (deaf || listener(key, change)), gaps);
  return { ...whole, watch: hears };
}

function changing(change: (session: Session<Data>, query: URLSearchParams) => void): Act {
  return async (session, query) => {
    const loaded = session.id;
    change(session, query);
    return { ...(await committed(session, query)), loaded };
  };
}

/** Commits, a moment after the verbs, so that others come between. */
async function committed(session: Session<Data>, query: URLSearchParams): Promise<AppAnswer> {
  const pause = Number(query.get("pause"));
  if (pause > 0) await sleep(pause);
  const outcome = await session.commit();
  return outcome === "gone" ? { outcome } : { outcome, session: session.id };
}

/** What the store itself holds of a session. */
async function finalOf(id: string): Promise<{ readonly data: SessionData | null }> {
  const record = await store.read(`user/${id}`, { now: Date.now(), fresh: true });
  if (record === undefined) return { data: null };
  try {
    const { d: data } = JSON.parse(record.value) as { d?: Data };
    return { data: data === undefined ? null : dataOf(data) };
  } catch {
    // Garbage that a fault has put there.
    return { data: null };
  }
}

function dataOf(data: Readonly<Record<string, unknown>> | undefined): SessionData {
  const { n = 0, log: _, ...keys } = data ?? {};
  return { n: Number(n), log: logOf(data), keys: Object.keys(keys) };
}

function logOf(data: Readonly<Record<string, unknown>> | undefined): string[] {
  const log = data?.["log"];
  return Array.isArray(log) ? log.map(String) : [];
}
