/** The clients of PostgreSQL, as apps make them. */
import { PGlite } from "@electric-sql/pglite";
import { Client, Pool } from "pg";
import postgres from "postgres";
import type { PostgresClient } from "../../src/store/postgres.ts";
import { postgresAt } from "./postgres.ts";

/** A client that is connected. */
export interface ConnectedPostgres {
  readonly client: PostgresClient;
  close(): Promise<void>;
}

/** Connects a client to the server at a port. */
export type ConnectPostgres = (port: number) => Promise<ConnectedPostgres>;

/** Of an idle connection that is lost nobody needs to be told here. */
const ignored = (): void => {};

/** Clients of a server, by name. */
export const POSTGRES_CLIENTS: Readonly<Record<string, ConnectPostgres>> = {
  async "pg 8, Pool"(port) {
    const client = new Pool({ ...postgresAt(port), max: 5 }).on("error", ignored);
    return { client, close: () => client.end() };
  },
  async "pg 8, Client"(port) {
    const client = new Client(postgresAt(port)).on("error", ignored);
    await client.connect();
    return { client, close: () => client.end() };
  },
  async "postgres.js 3"(port) {
    const client = postgres({ ...postgresAt(port), max: 5 });
    return { client, close: () => client.end({ timeout: 1 }) };
  },
  async "postgres.js 3, columns renamed, nothing prepared"(port) {
    const transform = { ...postgres.camel, undefined: null };
    const client = postgres({ ...postgresAt(port), max: 5, transform, prepare: false, fetch_types: false });
    return { client, close: () => client.end({ timeout: 1 }) };
  },
};

/** PostgreSQL in this process, in memory. */
export async function pglite(): Promise<ConnectedPostgres> {
  const client = await PGlite.create();
  return { client, close: () => client.close() };
}
