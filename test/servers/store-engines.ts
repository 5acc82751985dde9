/** What a session server keeps its sessions in, such that everything is on a disk when it is acknowledged. */
import { postgresAt, POSTGRES_PROGRAMS, startPostgresServer } from "./postgres.ts";
import { REDIS_PROGRAMS, startRedis } from "./redis.ts";

/** An engine that runs. */
export interface StoreEngine {
  /** What `coatcheck serve` is told. */
  readonly args: readonly string[];
  /** Kills it, and starts it again with what is on its disk. SQLite lives and dies with the server. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/** What each engine needs, and how it starts. */
export const STORE_ENGINES: Readonly<
  Record<string, { readonly programs: readonly string[]; start(): Promise<StoreEngine> }>
> = {
  SQLite: {
    programs: [],
    start: async () => ({ args: ["--changes", "own"], crash: async () => {}, stop: async () => {} }),
  },
  Redis: {
    programs: REDIS_PROGRAMS,
    async start() {
      const { port, nodes, stop } = await startRedis({ appendonly: "yes", appendfsync: "always" });
      return {
        args: ["--changes", "store", "--store", `redis://127.0.0.1:${port}`],
        async crash() {
          await nodes[0]?.process.kill();
          await nodes[0]?.restart();
        },
        stop,
      };
    },
  },
  PostgreSQL: {
    programs: POSTGRES_PROGRAMS,
    async start() {
      const server = await startPostgresServer();
      const { host, port, user, database } = postgresAt(server.port);
      return {
        args: ["--changes", "store", "--store", `postgres://${user}@${host}:${port}/${database}`],
        async crash() {
          await server.kill();
          await server.restart();
        },
        stop: () => server.stop(),
      };
    },
  },
};
