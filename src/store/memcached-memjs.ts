/**
 * The client memjs: the binary protocol, by its `perform`, because none of its verbs takes a cas token.
 *
 * @module
 */
import { utf8 } from "../internal/bytes.ts";
import type { CasOutcome, Connection, MemcachedItem } from "./memcached-client.ts";

interface Reply {
  readonly header: { readonly status: number; readonly cas: Uint8Array };
  readonly val: Uint8Array;
}

/** The two events of a socket that matter here. */
interface Socket {
  once(event: "close", listener: () => void): unknown;
  destroy(): unknown;
}

interface Server {
  _socket?: Socket | undefined;
  responseBuffer?: Uint8Array;
  error?(cause: Error): void;
}

interface Memjs {
  readonly seq: number;
  readonly options?: { readonly failover?: unknown };
  incrSeq(): void;
  server(name: string): Server | null;
  perform(
    name: string,
    request: Uint8Array,
    seq: number,
    done: (error: unknown, reply: Reply) => void,
    attempts: number,
  ): void;
}

/** Operation codes of the protocol. */
const GET = 0x00;
const ADD = 0x02;
// Not SET: a server that has no memory for a SET drops the old value as well.
const REPLACE = 0x03;
const DELETE = 0x04;

/** Statuses of the protocol. */
const OK = 0x0000;
const NOT_FOUND = 0x0001;
const EXISTS = 0x0002;
const STATUSES: Readonly<Record<number, string>> = {
  0x03: "the value is too large",
  0x20: "authentication failed",
  0x81: "unknown command",
  0x82: "out of memory",
};

/** Wraps the client. Throws a `TypeError` when it is set up to go to another server in the place of one that is away. */
export function memjsCommands(client: unknown): Connection {
  const memjs = client as Memjs;
  if (memjs.options?.failover === true) {
    throw new TypeError(
      "memcachedStore: with failover the client moves the keys of a server that is away to others; when it is back its old" +
        " sessions are, too, those that were ended included: leave it out",
    );
  }
  const ask = asker(memjs);
  return {
    namespace: "",
    maxValueBytes: undefined,
    commands: {
      async gets(name) {
        const reply = await ask({ operation: GET, name }, [OK, NOT_FOUND]);
        return reply.header.status === OK ? itemIn(reply) : undefined;
      },
      async add(name, value, exptime) {
        const reply = await ask({ operation: ADD, name, value, exptime }, [OK, EXISTS]);
        return reply.header.status === OK;
      },
      async cas(name, value, exptime, token) {
        const reply = await ask({ operation: REPLACE, name, value, exptime, token }, [OK, EXISTS, NOT_FOUND]);
        return OUTCOMES[reply.header.status] ?? "exists";
      },
      async delete(name) {
        const reply = await ask({ operation: DELETE, name }, [OK, NOT_FOUND]);
        return reply.header.status === OK;
      },
    },
  };
}

const OUTCOMES: Readonly<Record<number, CasOutcome>> = { [OK]: "stored", [EXISTS]: "exists", [NOT_FOUND]: "not-found" };

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function itemIn({ header, val }: Reply): MemcachedItem {
  const token = new DataView(header.cas.buffer, header.cas.byteOffset).getBigUint64(0);
  return { value: decoder.decode(val), token: String(token) };
}

interface Request {
  readonly operation: number;
  readonly name: string;
  readonly value?: string;
  readonly exptime?: number;
  readonly token?: string;
}

type Ask = (request: Request, answers: readonly number[]) => Promise<Reply>;

function asker(memjs: Memjs): Ask {
  return (request, answers) =>
    new Promise((resolve, reject) => {
      memjs.incrSeq();
      // It counts to 2^31 and on below zero; the server answers with the same 32 bits, without a sign.
      const seq = memjs.seq >>> 0;
      const over: { socket?: Socket | undefined } = {};
      const done = (error: unknown, reply: Reply): void => {
        // Answers that come late would get among those of the next connection.
        if (error !== null && error !== undefined) over.socket?.destroy();
        if (error !== null && error !== undefined) reject(notAnswered(error));
        else if (answers.includes(reply.header.status)) resolve(reply);
        else reject(new Error(`memcachedStore: ${STATUSES[reply.header.status] ?? `status ${reply.header.status}`}`));
      };
      // One attempt: what happens when an answer is lost is up to the app.
      memjs.perform(request.name, bytesOf(request, seq), seq, done, 1);
      const server = memjs.server(request.name);
      over.socket = server?._socket;
      if (server !== null && over.socket !== undefined) watch(server, over.socket);
    });
}

const watched = new WeakSet<Socket>();

/**
 * memjs lets go of a connection that ends, and leaves two things behind: requests on the way, which are never answered, and
 * the beginning of an answer, in which the next connection would go on.
 */
function watch(server: Server, socket: Socket): void {
  if (watched.has(socket)) return;
  watched.add(socket);
  socket.once("close", () => {
    if (server._socket !== undefined && server._socket !== socket) return;
    server.responseBuffer = Buffer.alloc(0);
    server.error?.(new Error("the connection was closed"));
  });
}

/** By its name the manager knows that it is no use to ask again at once. */
function notAnswered(cause: unknown): Error {
  const error = new Error("memcachedStore: the server cannot be reached", { cause });
  error.name = "ConnectionClosed";
  return error;
}

const HEADER = 24;

/** A request: header, extras (flags and exptime, with a value only), name, value. */
function bytesOf({ operation, name, value, exptime = 0, token = "0" }: Request, seq: number): Uint8Array {
  const [key, content] = [utf8(name), utf8(value ?? "")];
  const extras = value === undefined ? 0 : 8;
  const bytes = Buffer.alloc(HEADER + extras + key.length + content.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint8(0, 0x80);
  view.setUint8(1, operation);
  view.setUint16(2, key.length);
  view.setUint8(4, extras);
  view.setUint32(8, bytes.length - HEADER);
  view.setUint32(12, seq);
  view.setBigUint64(16, BigInt(token));
  if (extras > 0) view.setUint32(HEADER + 4, exptime);
  bytes.set(key, HEADER + extras);
  bytes.set(content, HEADER + extras + key.length);
  return bytes;
}
