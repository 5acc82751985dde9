/** PostgreSQL servers that stand in for each other, and a disk that is full. */
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type PostgresPair, startPostgresPair, startPostgresServer } from "../servers/postgres.ts";
import { serverDirectory } from "../servers/server-process.ts";
import type { Findings } from "./check.ts";
import { fault, type Fault, type FaultOn, type Servers, type Topology } from "./fault.ts";
import { prepared, type Single } from "./postgres-single.ts";
import { startProxy, type Proxy } from "./proxy.ts";

interface Pair extends Servers {
  readonly pair: PostgresPair;
  /** The address that the apps know. */
  readonly wire: Proxy;
}

/** A primary and a standby, which has every change before it counts, or soon after. */
function pair(client: string, isSynchronous: boolean): Topology<Pair> {
  return {
    name: `a primary and ${isSynchronous ? "a synchronous" : "an asynchronous"} standby`,
    async start() {
      const servers = await startPostgresPair();
      await prepared(servers.primary);
      if (!isSynchronous) {
        await servers.primary.ask("ALTER SYSTEM SET synchronous_standby_names = ''");
        await servers.primary.ask("SELECT pg_reload_conf()");
      }
      const wire = await startProxy(servers.primary.port);
      return {
        pair: servers,
        wire,
        store: { engine: "postgres", client, port: wire.port },
        async stop() {
          await wire.stop();
          await servers.stop();
        },
      };
    },
  };
}

const LOSES_ALL: readonly (keyof Findings)[] = ["lost", "oldSecrets", "signedOut", "resurrected"];

const promoted: FaultOn<Pair> = {
  name: "promoted",
  title: "the primary is killed (SIGKILL); after 2 s the standby is promoted and takes its address",
  promised: "503 until then; nothing acknowledged is lost",
  fails: "must",
  lasts: 2_000,
  inject: async ({ pair: { primary } }) => await primary.kill(),
  async clear({ pair: servers, wire }) {
    await servers.promote();
    wire.pointTo(servers.standby.port);
  },
};

/** What may happen to a primary that has a standby. */
export function pairFaults(client: string): readonly Fault[] {
  return [
    fault(pair(client, true), promoted),
    fault(pair(client, true), {
      name: "promoted-alive",
      title:
        "the standby is promoted and takes the address while the primary stands still (SIGSTOP); 3 s later that goes on",
      promised: "503 for a moment; nothing acknowledged is lost",
      fails: "may",
      lasts: 3_000,
      async inject({ pair: servers, wire }) {
        servers.primary.pause();
        await servers.promote();
        wire.pointTo(servers.standby.port);
      },
      clear: ({ pair: { primary } }) => primary.resume(),
    }),
    fault(pair(client, true), {
      name: "standby-killed",
      title: "the synchronous standby is killed (SIGKILL), and comes back after 3 s",
      promised: "reads go on, changes are 503, though the primary has them",
      fails: "must",
      lasts: 3_000,
      inject: async ({ pair: { standby } }) => await standby.kill(),
      clear: async ({ pair: { standby } }) => await standby.restart(),
    }),
    fault(pair(client, false), {
      ...promoted,
      name: "promoted-async",
      promised: "503 until then; the last changes and sign-outs before it may be lost",
      allows: LOSES_ALL,
    }),
  ];
}

// --- a disk that is full ------------------------------------------------------------------------------------------------

interface SmallDisk extends Single {
  readonly disk: string;
}

/** Whether a disk of memory can be had here: only for root. */
function hasSmallDisks(): boolean {
  return process.getuid?.() === 0 && process.platform === "linux";
}

function smallDisk(client: string): Topology<SmallDisk> {
  return {
    name: "one server on a disk of 200 MB",
    async start() {
      const disk = serverDirectory("postgres-disk");
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=200m,mode=755", "tmpfs", disk]);
      const unmount = (): void => {
        execFileSync("umount", ["--lazy", disk]);
        rmSync(disk, { recursive: true });
      };
      try {
        const config = { max_wal_size: "64MB", min_wal_size: "32MB" };
        const server = await prepared(await startPostgresServer(config, disk));
        const stop = async (): Promise<void> => {
          await server.kill();
          unmount();
        };
        return { server, disk, store: { engine: "postgres", client, port: server.port }, stop };
      } catch (error) {
        unmount();
        throw error;
      }
    },
  };
}

/** Writes until nothing more can be written. */
function fill(disk: string): void {
  for (const size of [1 << 20, 1 << 12]) {
    const bytes = Buffer.alloc(size);
    while (isWritten(join(disk, "filler"), bytes));
  }
}

function isWritten(file: string, bytes: Buffer): boolean {
  try {
    writeFileSync(file, bytes, { flag: "a" });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOSPC") return false;
    throw error;
  }
}

/** What may happen to a disk. */
export function diskFaults(client: string): readonly Fault[] {
  if (!hasSmallDisks()) return [];
  return [
    fault(smallDisk(client), {
      name: "disk-full",
      title: "the disk is full for 4 s",
      promised: "changes are 503, and reads too if the server ends itself; then on without a restart of the apps",
      fails: "must",
      lasts: 4_000,
      every: 500,
      async inject({ disk, server }) {
        fill(disk);
        // The log goes on in a new file: without a place for it the server ends itself.
        if (await server.isUp()) await server.ask("SELECT pg_switch_wal()").catch(() => {});
      },
      async clear({ disk, server }) {
        rmSync(join(disk, "filler"));
        if (!(await server.isUp())) await server.restart();
      },
    }),
  ];
}
