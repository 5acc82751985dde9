/**
 * The client of the package `memcached`: callbacks, the text protocol, a ring of servers.
 *
 * @module
 */
import type { Connection, MemcachedItem } from "./memcached-client.ts";

type Done<T> = (error: unknown, result: T) => void;

/** A hit is the value under its full name, and the token; a miss is undefined, and an error of the server false. */
type GetsReply = (Readonly<Record<string, unknown>> & { readonly cas: string }) | undefined | false;

interface NodeMemcached {
  readonly namespace?: string;
  readonly maxKeySize?: number;
  readonly maxValue?: number;
  readonly remove?: boolean;
  readonly redundancy?: unknown;
  readonly failOverServers?: readonly unknown[];
  gets(name: string, done: Done<GetsReply>): void;
  add(name: string, value: string, lifetime: number, done: Done<boolean>): void;
  cas(name: string, value: string, token: string, lifetime: number, done: Done<boolean>): void;
  del(name: string, done: Done<boolean>): void;
}

/** Wraps the client. Throws a `TypeError` for options with which a session would be on several servers. */
export function nodeMemcachedCommands(client: unknown): Connection {
  const node = client as NodeMemcached;
  checkRing(node);
  const { namespace = "", maxValue } = node;
  const gets = (name: string): Promise<MemcachedItem | undefined> => getsOf(node, namespace + name, name);
  return {
    namespace,
    maxValueBytes: maxValue,
    commands: {
      gets,
      add: (name, value, exptime) => addOf(node, name, value, exptime),
      // It says false for an error of the server, too. Then it gives the server up for a while, and the second question fails.
      async cas(name, value, exptime, token) {
        if (await answerOf<boolean>((done) => node.cas(name, value, token, exptime, done))) return "stored";
        return (await gets(name)) === undefined ? "not-found" : "exists";
      },
      async delete(name) {
        if (await answerOf<boolean>((done) => node.del(name, done))) return true;
        await gets(name);
        return false;
      },
    },
  };
}

function checkRing({ remove, redundancy, failOverServers = [], maxKeySize = 250 }: NodeMemcached): void {
  if (remove === true || failOverServers.length > 0) {
    throw new TypeError(
      "memcachedStore: with remove or failOverServers the client moves the keys of a server that is away to others; when it" +
        " is back its old sessions are, too, those that were ended included: leave them out",
    );
  }
  if (redundancy !== undefined && redundancy !== false && redundancy !== 0) {
    throw new TypeError("memcachedStore: a session is on one server: leave out redundancy");
  }
  if (maxKeySize < 250) throw new TypeError("memcachedStore: leave the client's maxKeySize at 250");
}

function answerOf<T>(send: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    send((error, result) => {
      const first: unknown = Array.isArray(error) ? error[0] : error;
      if (first === undefined || first === null || first === false) resolve(result);
      else reject(first instanceof Error ? first : new Error(`memcached: ${String(first)}`));
    });
  });
}

async function getsOf(node: NodeMemcached, fullName: string, name: string): Promise<MemcachedItem | undefined> {
  const reply = await answerOf<GetsReply>((done) => node.gets(name, done));
  if (reply === undefined) return undefined;
  if (reply === false) throw refused();
  // It tells answers apart by their order alone.
  if (!Object.hasOwn(reply, fullName)) throw new Error("memcachedStore: the answer is one to another question");
  const value = reply[fullName];
  // What others have written may be flagged as a number, as JSON or as bytes.
  return { value: typeof value === "string" ? value : (JSON.stringify(value) ?? ""), token: String(reply.cas) };
}

async function addOf(node: NodeMemcached, name: string, value: string, exptime: number): Promise<boolean> {
  try {
    const stored = await answerOf<boolean>((done) => node.add(name, value, exptime, done));
    if (!stored) throw refused();
    return true;
  } catch (error) {
    if ((error as { readonly notStored?: unknown }).notStored === true) return false;
    throw error;
  }
}

function refused(): Error {
  return new Error("memcachedStore: the server refused; the client's event issue tells why");
}
