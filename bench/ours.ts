/**
 * coatcheck, as it is deployed: behind a proxy that ends TLS, all else by default.
 *
 * @module
 */
/* oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 takes their rejections */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { cookie, defineSession, type SessionDefinition, type SessionStore } from "coatcheck";
import { sessions } from "coatcheck/express";
import { session as dropInSession, toExpressStore } from "coatcheck/express-session";
import { directoryStore } from "coatcheck/store/directory";
import { memoryStore } from "coatcheck/store/memory";
import type { RequestHandler } from "express";
import type { Handlers } from "./app.ts";
import { newData, type BenchData } from "./data.ts";

/** Where a subject may keep files, and what to put between a definition and its store. */
export interface OursOptions {
  readonly folder: string;
  readonly wrap?: (store: SessionStore) => SessionStore;
}

/** The handlers of a subject of ours; undefined when the name is of another. */
export async function ours(name: string, options: OursOptions): Promise<Handlers | undefined> {
  if (name === "drop-in") return dropIn(options);
  if (name === "sealed" || name === "sealed-cold") return handlersOf(sealed());
  const store = await storeOf(name, options.folder);
  return store === undefined ? undefined : handlersOf(byId(options.wrap?.(store) ?? store));
}

async function storeOf(name: string, folder: string): Promise<SessionStore | undefined> {
  if (name === "memory") return memoryStore();
  if (name === "directory") return directoryStore(join(folder, "sessions"));
  if (name !== "sqlite") return undefined;
  const { sqliteStore } = await import("coatcheck/store/sqlite");
  return sqliteStore(join(folder, "sessions.db"));
}

/** Written as the application for express-session is. */
function dropIn({ wrap }: OursOptions): Handlers {
  const secret = randomBytes(32).toString("base64url");
  const store = wrap === undefined ? undefined : toExpressStore(wrap(memoryStore()));
  const sessionsOf = dropInSession<BenchData>({ secret, resave: false, saveUninitialized: false, store });
  return {
    middleware: sessionsOf as RequestHandler,
    seed(req, res) {
      Object.assign(sessionsOf.from(req), newData());
      res.end("seeded");
    },
    read: (req, res) => void res.end(sessionsOf.from(req).user),
    write(req, res) {
      const data = sessionsOf.from(req);
      data.count = (data.count ?? 0) + 1;
      res.end(String(data.count));
    },
    count: (req, res) => void res.end(String(sessionsOf.from(req).count)),
  };
}

function byId(store: SessionStore): SessionDefinition<BenchData> {
  return defineSession<BenchData>({ name: "bench", store, transport: cookie({ trustProxy: true }) });
}

function sealed(): SessionDefinition<BenchData> {
  const keys = randomBytes(32).toString("base64url");
  return defineSession<BenchData>({
    name: "bench",
    keys,
    revocation: "none",
    transport: cookie({ trustProxy: true }),
  });
}

function handlersOf(user: SessionDefinition<BenchData>): Handlers {
  return {
    middleware: sessions(user) as RequestHandler,
    async seed(req, res) {
      const session = await user.from(req);
      session.set(newData());
      res.end("seeded");
    },
    async read(req, res) {
      const session = await user.from(req);
      res.end(session.data?.user);
    },
    async write(req, res) {
      const session = await user.from(req);
      session.update((data) => ({ ...data, count: (data?.count ?? 0) + 1 }));
      res.end(String(session.data?.count));
    },
    async count(req, res) {
      const session = await user.from(req);
      res.end(String(session.data?.count));
    },
  };
}
