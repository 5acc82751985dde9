/**
 * The end of a server: what is under way comes to its end, and nothing else begins.
 *
 * @module
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";

/** How often it is looked whether all has come to its end, in milliseconds. */
const LOOK = 10;

/** A server whose connections are known. */
export interface Connections {
  readonly server: Server;
  /** Those that requests come over. */
  readonly sockets: ReadonlySet<Socket>;
  /** Those below them, where TLS is between; the same ones otherwise. */
  readonly raw: ReadonlySet<Socket>;
  /** Requests without an answer. */
  underWay(): number;
}

/** Takes no more connections, waits for what is under way, `within` milliseconds at most, and closes all that is left. */
export async function stopped(connections: Connections, within: number): Promise<void> {
  const closed = new Promise<boolean>((resolve) => {
    connections.server.close(() => resolve(true));
  });
  const end = performance.now() + within;
  do closeSome(connections, performance.now() >= end);
  while (!(await Promise.race([closed, pause()])));
}

function closeSome({ sockets, raw, underWay }: Connections, late: boolean): void {
  if (!late && underWay() > 0) return;
  // What was answered, and is still on its way to a slow client, is not cut off.
  for (const socket of sockets) if (late || socket.writableLength === 0) socket.destroy();
  if (sockets.size === 0 || late) for (const socket of raw) socket.destroy();
}

function pause(): Promise<false> {
  return new Promise((resolve) => {
    setTimeout(resolve, LOOK, false);
  });
}
