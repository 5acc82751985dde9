/** MariaDB servers that stand in for each other, and a disk that is full. */
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type MariadbReplicas, ON_DISK, startMariadb, startMariadbReplicas } from "../servers/mariadb.ts";
import { serverDirectory } from "../servers/server-process.ts";
import { fault, type Fault, type FaultOn, type Servers, type Topology } from "./fault.ts";
import { LOSES_ALL, ordersFor, prepared, type Single } from "./mysql-single.ts";
import { startProxy, type Proxy } from "./proxy.ts";

interface Replicas extends Servers {
  readonly servers: MariadbReplicas;
  /** The address that the apps know. */
  readonly wire: Proxy;
}

/** A primary and a replica, which has every change before it counts, or soon after. */
function replicas(client: string, semiSync: boolean): Topology<Replicas> {
  return {
    name: `a primary and ${semiSync ? "a semi-synchronous" : "an asynchronous"} replica`,
    async start() {
      const servers = await startMariadbReplicas({ semiSync, config: { ...ON_DISK, "sync-binlog": "1" } });
      await prepared(servers.primary);
      const wire = await startProxy(servers.primary.port);
      return {
        servers,
        wire,
        store: ordersFor(client, wire.port),
        async stop() {
          await wire.stop();
          await servers.stop();
        },
      };
    },
  };
}

const promoted: FaultOn<Replicas> = {
  name: "promoted",
  title: "the primary is killed (SIGKILL); after 2 s the replica is promoted and takes its address",
  promised: "503 until then; nothing acknowledged is lost",
  fails: "must",
  lasts: 2_000,
  inject: ({ servers: { primary } }) => primary.process.kill(),
  async clear({ servers, wire }) {
    await servers.promote();
    wire.pointTo(servers.replica.port);
  },
};

/** What may happen to a primary that has a replica. */
export function replicaFaults(client: string): readonly Fault[] {
  return [
    fault(replicas(client, true), promoted),
    fault(replicas(client, true), {
      name: "replica-killed",
      title: "the semi-synchronous replica is killed (SIGKILL), and comes back after 3 s",
      promised: "reads go on, changes are 503, though the primary has them",
      fails: "must",
      lasts: 3_000,
      inject: ({ servers: { replica } }) => replica.process.kill(),
      clear: ({ servers: { replica } }) => replica.restart(),
    }),
    fault(replicas(client, false), {
      ...promoted,
      name: "promoted-async",
      promised: "503 until then; the last changes and sign-outs before it may be lost",
      allows: LOSES_ALL,
    }),
    fault(replicas(client, false), {
      name: "switched",
      title: "the primary takes no changes any more (read_only); 1 s later the replica has all and takes its address",
      promised: "changes are 503 meanwhile; nothing is lost",
      fails: "must",
      lasts: 1_000,
      inject: async ({ servers: { primary } }) => void (await primary.ask("SET GLOBAL read_only = 1")),
      async clear({ servers, wire }) {
        await servers.caughtUp();
        await servers.promote();
        wire.pointTo(servers.replica.port);
      },
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
      const disk = serverDirectory("mariadb-disk");
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=200m", "tmpfs", disk]);
      const unmount = (): void => {
        execFileSync("umount", ["--lazy", disk]);
        rmSync(disk, { recursive: true });
      };
      try {
        const server = await prepared(await startMariadb(ON_DISK, disk));
        const stop = async (): Promise<void> => {
          await server.stop();
          unmount();
        };
        return { server, disk, store: ordersFor(client, server.port), stop };
      } catch (error) {
        unmount();
        throw error;
      }
    },
  };
}

/** Writes until nothing more can be written. */
function fill(file: string, bytes = 1 << 20): void {
  try {
    for (;;) writeFileSync(file, Buffer.alloc(bytes), { flag: "a" });
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOSPC") throw error;
    if (bytes > 1) fill(file, bytes >> 4);
  }
}

/** What may happen to a disk. */
export function diskFaults(client: string): readonly Fault[] {
  if (!hasSmallDisks()) return [];
  return [
    fault(smallDisk(client), {
      name: "disk-full",
      title: "the disk is full for 4 s",
      promised: "reads go on, changes are 503 where the table has to grow; then on without a restart",
      fails: "may",
      lasts: 4_000,
      inject: ({ disk }) => fill(join(disk, "filler")),
      clear: ({ disk }) => rmSync(join(disk, "filler")),
    }),
  ];
}
