/**
 * The servers whose requests are counted: each kind of session behind each adapter, and the same handler without sessions.
 */
import { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { DatabaseSync } from "node:sqlite";
import { withSessions as withWebSessions } from "../../src/adapter/fetch.ts";
import { withSessions as withNodeSessions } from "../../src/adapter/node.ts";
import {
  defineSession,
  sign,
  type Session,
  type SessionDefinition,
  type SessionOptions,
  type SessionStore,
} from "../../src/index.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { sqliteStore, type SqliteDatabase, type SqliteStatement } from "../../src/store/sqlite.ts";
import type { Adapter, Kind, Route } from "./cost.ts";

interface Data {
  readonly user: string;
  readonly cart: readonly string[];
  readonly count: number;
}

/** An answer: which cookie the client has from then on, and how much the header took. */
export interface Answer {
  readonly cookie: string | undefined;
  readonly headerBytes: number;
}

/** A server: with sessions, or the same without them. */
export interface Server {
  request(route: Route | "seed", cookie: string | undefined): Promise<Answer>;
}

/** What the sessions have asked of their store, and that of its database. */
export interface Counters {
  storeCalls: number;
  statements: number;
}

/** The server of a kind of session behind an adapter, and the one to compare it with. */
export function serversOf(kind: Kind, adapter: Adapter): { ours: Server; bare: Server; counters: Counters } {
  const counters = { storeCalls: 0, statements: 0 };
  const user = defineSession<Data>({ name: "user", ...OPTIONS[kind](counters) });
  const server = adapter === "node" ? nodeServer : webServer;
  return { ours: server(user), bare: server(undefined), counters };
}

const KEYS = Buffer.from(Array.from({ length: 32 }, (_, at) => (at * 37 + 11) % 256)).toString("base64url");

const OPTIONS: Readonly<Record<Kind, (counters: Counters) => Omit<SessionOptions, "name" | "schema" | "codec">>> = {
  memory: (counters) => ({ store: counted(memoryStore({ sweepInterval: false }), counters) }),
  later: (counters) => ({ store: counted(answeringLater(memoryStore({ sweepInterval: false })), counters) }),
  sqlite: (counters) => ({
    store: counted(sqliteStore(countedDatabase(counters), { sweepInterval: false }), counters),
  }),
  sealed: () => ({ keys: KEYS, revocation: "none" }),
  signed: () => ({ keys: KEYS, revocation: "none", protection: sign() }),
};

// --- what is counted ----------------------------------------------------------------------------------------------------

type Verbs = Pick<SessionStore, "create" | "read" | "update" | "touch" | "delete" | "returnsSame">;

function counted(store: Verbs, counters: Counters): SessionStore {
  const count = <A extends readonly unknown[], R>(verb: (...args: A) => R) => {
    return (...args: A): R => {
      counters.storeCalls++;
      return verb(...args);
    };
  };
  const { create, read, update, touch, delete: remove, returnsSame = false } = store;
  return {
    returnsSame,
    create: count(create),
    read: count(read),
    update: count(update),
    touch: count(touch),
    delete: count(remove),
  };
}

/** A store over a network, as far as the process can tell: its answers are promises. */
function answeringLater({ create, read, update, touch, delete: remove }: Verbs): Verbs {
  return {
    create: (...args) => Promise.resolve(create(...args)),
    read: (...args) => Promise.resolve(read(...args)),
    update: (...args) => Promise.resolve(update(...args)),
    touch: (...args) => Promise.resolve(touch(...args)),
    delete: (...args) => Promise.resolve(remove(...args)),
  };
}

function countedDatabase(counters: Counters): SqliteDatabase {
  const database = new DatabaseSync(":memory:");
  return {
    exec: (sql) => database.exec(sql),
    prepare(sql): SqliteStatement {
      const statement = database.prepare(sql);
      const count = <A extends readonly unknown[], R>(run: (...args: A) => R) => {
        return (...args: A): R => {
          counters.statements++;
          return run(...args);
        };
      };
      return {
        get: count((...values: never[]) => statement.get(...values)),
        all: count((...values: never[]) => statement.all(...values)),
        run: count((...values: never[]) => statement.run(...values)),
      };
    },
  };
}

// --- what handlers do ---------------------------------------------------------------------------------------------------

/** What stands for a session where there is none. */
const NO_SESSION = { data: { user: "ada" } };

function use(route: string, session: Session<Data>): void {
  if (route === "seed") session.set({ user: "ada", cart: ["apple", "pear", "plum"], count: 1_000_000 });
  if (route === "write") session.update((data) => ({ ...(data as Data), count: (data?.count ?? 0) + 1 }));
  if (route === "sign-in") session.authenticate("ada");
}

function nodeServer(user: SessionDefinition<Data> | undefined): Server {
  const handler = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const route = req.url as string;
    if (route === "untouched") return void res.end("ada");
    const session = await (user === undefined ? NO_SESSION : user.from(req));
    if (user !== undefined) use(route, session as Session<Data>);
    res.end(session.data?.user);
  };
  const handle = user === undefined ? handler : withNodeSessions(handler, user);
  return {
    request(route, cookie) {
      const { req, res, socket } = messages(route, cookie);
      return new Promise((resolve) => {
        res.on("finish", () => {
          resolve({ cookie: cookieIn(String(res.getHeader("set-cookie") ?? "")), headerBytes: socket.written });
        });
        void handle(req, res);
      });
    },
  };
}

function webServer(user: SessionDefinition<Data> | undefined): Server {
  const handler = async (request: Request): Promise<Response> => {
    const route = request.url.slice(ORIGIN.length);
    if (route === "untouched") return new Response("ada");
    const session = await (user === undefined ? NO_SESSION : user.from(request));
    if (user !== undefined) use(route, session as Session<Data>);
    return new Response(session.data?.user);
  };
  const handle = user === undefined ? handler : withWebSessions(handler, user);
  return {
    async request(route, cookie) {
      const { headers } = await handle(
        new Request(ORIGIN + route, cookie === undefined ? undefined : { headers: { cookie } }),
      );
      let headerBytes = 0;
      for (const [name, value] of headers) headerBytes += `${name}: ${value}\r\n`.length;
      return { cookie: cookieIn(headers.get("set-cookie") ?? ""), headerBytes };
    },
  };
}

const ORIGIN = "https://shop.example/";

function cookieIn(setCookie: string): string | undefined {
  return setCookie === "" ? undefined : setCookie.slice(0, setCookie.indexOf(";"));
}

// --- requests of Node without a network -----------------------------------------------------------------------------------

/** The end of a connection that takes everything. */
class NullSocket extends Duplex {
  readonly encrypted: boolean = true;
  written: number = 0;

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk.length;
    done();
  }
}

function messages(
  route: string,
  cookie: string | undefined,
): { req: IncomingMessage; res: ServerResponse; socket: NullSocket } {
  const socket = new NullSocket({ decodeStrings: true });
  const req = new IncomingMessage(socket as unknown as Socket);
  req.method = "GET";
  req.url = route;
  req.httpVersionMajor = req.httpVersionMinor = 1;
  req.headers = cookie === undefined ? { host: "shop.example" } : { host: "shop.example", cookie };
  const res = new ServerResponse(req);
  res.assignSocket(socket as unknown as Socket);
  return { req, res, socket };
}
