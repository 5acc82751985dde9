/**
 * The servers beside, started for a run.
 *
 * @module
 */
import type { Need } from "./needs.ts";
import type { Urls } from "./site.ts";

/** Servers that run. */
export interface Backends {
  /** Where they are. */
  readonly urls: Urls;
  stop(): Promise<void>;
}

interface Backend {
  readonly url: string;
  stop(): Promise<void>;
}

/** A command that runs another, such as `["taskset", "-c", "1"]`; empty for none. */
type Launcher = readonly string[];

/** Starts what is needed, each on a port of its own, run by `launcher`. */
export async function startBackends(needs: readonly Need[], launcher: Launcher): Promise<Backends> {
  const started = new Map<Need, Backend>();
  const stop = async (): Promise<void> => {
    await Promise.all([...started.values()].map((backend) => backend.stop()));
  };
  try {
    for (const need of needs) started.set(need, await STARTERS[need](launcher));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    urls: Object.fromEntries([...started].map(([need, { url }]) => [need, url])),
    stop,
  };
}

/** Only what is needed is loaded. They are given memory enough for all that a run makes. */
const STARTERS: Readonly<Record<Need, (launcher: Launcher) => Promise<Backend>>> = {
  async redis(launcher) {
    const { startRedis } = await import("../test/servers/redis.ts");
    const { port, stop } = await startRedis({}, launcher);
    return { url: `redis://127.0.0.1:${port}`, stop };
  },
  async postgres(launcher) {
    const { postgresAt, startPostgresServer } = await import("../test/servers/postgres.ts");
    const server = await startPostgresServer({ shared_buffers: "512MB" }, undefined, launcher);
    const { host, port, user, database } = postgresAt(server.port);
    return { url: `postgres://${user}@${host}:${port}/${database}`, stop: server.stop };
  },
  async mariadb(launcher) {
    const { DATABASE, startMariadb } = await import("../test/servers/mariadb.ts");
    const memory = { "innodb-buffer-pool-size": "512M", "innodb-log-file-size": "64M" };
    const { port, stop } = await startMariadb(memory, undefined, launcher);
    return { url: `mysql://root@127.0.0.1:${port}/${DATABASE}`, stop };
  },
  async memcached(launcher) {
    const { startMemcached } = await import("../test/servers/memcached.ts");
    const { port, stop } = await startMemcached(["-m", "1024"], launcher);
    return { url: `127.0.0.1:${port}`, stop };
  },
  async nats(launcher) {
    const { startNats } = await import("../test/servers/nats.ts");
    const { nodes, stop } = await startNats({ launcher });
    return { url: `nats://127.0.0.1:${nodes[0]?.port}`, stop };
  },
};
