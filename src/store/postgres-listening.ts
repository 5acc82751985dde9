/**
 * How the clients of PostgreSQL listen to a channel.
 *
 * @module
 */
import { encodeBase64url } from "../internal/base64url.ts";
import { randomBytes } from "../internal/crypto.ts";
import type { FeedConnection, FeedListener } from "./change-feed.ts";
import { quoted } from "./sql-text.ts";

/** Listens to a channel from the moment on in which the promise resolves. */
export type PostgresListening = (channel: string, listener: FeedListener) => Promise<FeedConnection>;

// --- pg -----------------------------------------------------------------------------------------------------------------

interface PgConnection {
  query(text: string): Promise<unknown>;
  on(event: string, handler: (value: never) => void): unknown;
  removeListener(event: string, handler: (value: never) => void): unknown;
}

interface PgPool {
  connect(): Promise<PgConnection & { release(destroy: boolean): void }>;
}

interface Notification {
  readonly channel: string;
  readonly payload?: string;
}

/** Over a connection of its own, taken from the pool, which it does not come back to: it listens. */
export function pgPoolListening(client: unknown): PostgresListening {
  return async (channel, listener) => {
    const connection = await (client as PgPool).connect();
    const ended = hearing(connection, channel, listener);
    const end = (): void => {
      ended();
      connection.release(true);
    };
    try {
      await connection.query(`LISTEN ${quoted(channel)}`);
    } catch (error) {
      end();
      throw error;
    }
    return { ping: () => connection.query("SELECT 1"), end };
  };
}

/** Over a single client, which is the app's. When its connection is lost it is of no use any more. */
export function pgClientListening(client: unknown, send: (text: string) => Promise<unknown>): PostgresListening {
  return async (channel, listener) => {
    const ended = hearing(client as PgConnection, channel, listener);
    try {
      await send(`LISTEN ${quoted(channel)}`);
    } catch (error) {
      ended();
      throw error;
    }
    return {
      ping: () => send("SELECT 1"),
      end(isBroken) {
        ended();
        // Should it fail, notifications come that nobody hears.
        if (!isBroken) send(`UNLISTEN ${quoted(channel)}`).catch(() => {});
      },
    };
  };
}

/** Hears what comes over a connection; returns what ends that. */
function hearing(connection: PgConnection, channel: string, listener: FeedListener): () => void {
  const handlers = {
    notification: ({ channel: on, payload = "" }: Notification): void => {
      if (on === channel) listener.notified(payload);
    },
    error: () => listener.lost(),
    end: () => listener.lost(),
  };
  const all = Object.entries(handlers) as [string, (value: never) => void][];
  for (const [event, handler] of all) connection.on(event, handler);
  return () => {
    for (const [event, handler] of all) connection.removeListener(event, handler);
  };
}

// --- postgres.js --------------------------------------------------------------------------------------------------------

interface PostgresJs {
  listen(
    channel: string,
    notified: (payload: string) => void,
    listening: () => void,
  ): Promise<{ unlisten(): Promise<unknown> }>;
  unsafe(text: string, values: readonly string[]): PromiseLike<unknown>;
}

/** It has a connection of its own for all that listen, and connects it again by itself. */
export function postgresJsListening(client: unknown): PostgresListening {
  const sql = client as PostgresJs;
  return async (channel, listener) => {
    // A notification to oneself is the only way to learn whether that connection is alive.
    const echo = `${channel}_${encodeBase64url(randomBytes(6))}`;
    let echoed = (): void => {};
    let times = 0;
    const listening = (): void => {
      if (++times > 1) listener.lost();
    };
    const subscriptions = [
      await sql.listen(channel, listener.notified, listening),
      await sql.listen(
        echo,
        () => echoed(),
        () => {},
      ),
    ];
    return {
      async ping() {
        const heard = new Promise<void>((resolve) => (echoed = resolve));
        await sql.unsafe("SELECT pg_notify($1, '')", [echo]);
        await heard;
      },
      end() {
        // On a broken connection there is nothing to be ended.
        for (const { unlisten } of subscriptions) unlisten().catch(() => {});
      },
    };
  };
}

// --- PGlite -------------------------------------------------------------------------------------------------------------

interface Pglite {
  listen(channel: string, notified: (payload: string) => void): Promise<() => Promise<void>>;
  query(text: string): Promise<unknown>;
}

/** In this process: there is nothing to be lost. */
export function pgliteListening(client: unknown): PostgresListening {
  const found = client as Pglite;
  return async (channel, listener) => {
    const unlisten = await found.listen(channel, listener.notified);
    return {
      ping: () => found.query("SELECT 1"),
      // It may have been closed before.
      end: () => void unlisten().catch(() => {}),
    };
  };
}
