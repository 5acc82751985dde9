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
export async function stopped({ server, sockets, raw, underWay }: Connections, within: number): Promise<void> {
  let gone = false;
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      gone = true;
      resolve();
    });
  });
  const end = performance.now() + within;
  while (!gone) {
    const late = performance.now() >= end;
    if (late || underWay() === 0) {
      // What was answered, and is still on its way to a slow client, is not cut off.
      for (const socket of sockets) if (late || socket.writableLength === 0) socket.destroy();
      if (sockets.size === 0 || late) for (const socket of raw) socket.destroy();
    }
    await Promise.race([closed, pause(LOOK)]);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
