/**
 * Requests that a client sends without waiting for the answers before.
 *
 * @module
 */
import type { RequestListener } from "node:http";
import type { Socket } from "node:net";

/**
 * Requests of one connection that may wait behind the one that is answered. Node reads them all at once, some thousands out of
 * one packet, and keeps the answers in memory until somebody reads them: a client that never does would fill it, without a
 * credential and over a single connection.
 */
const MOST_WAITING = 8;

/** The listener, for connections that do not send more than a few requests ahead: one that does is closed. */
export function withoutPiles(listener: RequestListener): RequestListener {
  const waiting = new WeakMap<Socket, number>();
  return (req, res) => {
    // Of the request that is answered the response has the connection; those behind it get theirs when it is their turn.
    if (res.socket !== null) return listener(req, res);
    const { socket } = req;
    // What came in one packet with the request that was too much.
    if (socket.destroyed) return;
    const before = waiting.get(socket) ?? 0;
    if (before >= MOST_WAITING) return void socket.destroy();
    waiting.set(socket, before + 1);
    res.once("close", () => waiting.set(socket, (waiting.get(socket) ?? 1) - 1));
    listener(req, res);
  };
}
