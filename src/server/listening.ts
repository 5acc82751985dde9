/**
 * Where a server listens, and where it may not.
 *
 * @module
 */
import { connect, type Server } from "node:net";
import { lstatSync, unlinkSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { isLoopback } from "./loopback.ts";

/** An address and a port (0 for a free one), or the path of a Unix socket. */
export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** What makes an address safe that others can reach. */
export interface ListenSafety {
  readonly hasCredentials: boolean;
  readonly hasTls: boolean;
  /** Whether something in front of the server ends TLS. */
  readonly tlsEndsElsewhere: boolean;
}

/** Throws an `Error` that says what to do, when everybody, or everybody's wire, could reach what is inside. */
export function refuseUnsafe(address: ListenAddress, { hasCredentials, hasTls, tlsEndsElsewhere }: ListenSafety): void {
  if ("path" in address || isLoopback(address.host)) return;
  const missing = [
    ...(hasCredentials ? [] : ["credentials (coatcheck credential add --application NAME)"]),
    ...(hasTls || tlsEndsElsewhere
      ? []
      : [
          "TLS (--tls-cert and --tls-key; or --tls-ends-elsewhere, where a proxy or a private network takes care of it)",
        ]),
  ];
  if (missing.length === 0) return;
  throw new Error(
    `Others than this machine reach ${address.host}, and that takes ${missing.join(", and ")}. Or listen on 127.0.0.1.`,
  );
}

/**
 * Listens; a socket that a dead process has left is replaced, and nothing else that is there. `isPrivate`: a socket is its
 * owner's alone, whatever the umask says, from the moment on in which it is there. Rejects with what Node says, and what it means.
 */
export async function listenOn(server: Server, address: ListenAddress, isPrivate: boolean): Promise<void> {
  try {
    await listening(server, address, isPrivate);
  } catch (error) {
    if (!("path" in address) || codeOf(error) !== "EADDRINUSE") throw explained(error, address);
    // Where there is a file, nobody answers either.
    if (!lstatSync(address.path).isSocket()) {
      throw new Error(`Cannot listen on ${address.path}: there is something else. Take another path.`, {
        cause: error,
      });
    }
    if (await isAnswered(address.path)) throw explained(error, address);
    unlinkSync(address.path);
    await listening(server, address, isPrivate);
  }
}

function listening(server: Server, address: ListenAddress, isPrivate: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    // Of the process, and set for as long as it takes to make the socket; a worker may not set it.
    const before = isPrivate && isMainThread ? process.umask(0o177) : undefined;
    try {
      server.listen(address, () => {
        server.off("error", reject);
        resolve();
      });
    } finally {
      if (before !== undefined) process.umask(before);
    }
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => resolve(codeOf(error) !== "ECONNREFUSED"));
  });
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown }).code;
}

function explained(error: unknown, address: ListenAddress): Error {
  const where = "path" in address ? address.path : `${address.host}:${address.port}`;
  const why = WHY[String(codeOf(error))] ?? String((error as Error).message);
  return new Error(`Cannot listen on ${where}: ${why}`, { cause: error });
}

const WHY: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process does. Stop it, or listen elsewhere (--listen HOST:PORT).",
  EADDRNOTAVAIL: "this machine has no such address.",
  EACCES: "that is not allowed. Take a port above 1023, or a folder that can be written.",
  ENOTFOUND: "there is no such name.",
};

/** How the server is called in a URL. */
export function urlOf(server: Server, address: ListenAddress, hasTls: boolean): string {
  const bound = server.address();
  if ("path" in address || bound === null || typeof bound === "string")
    return `unix:${"path" in address ? address.path : bound}`;
  // "localhost" may be either of two addresses: said as it was asked for.
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${hasTls ? "https" : "http"}://${host}:${bound.port}`;
}
