/** One MariaDB server, and what goes wrong with it. */
import type { Connection } from "mysql2/promise";
import { mysqlStore } from "../../src/store/mysql.ts";
import { DATABASE, type Mariadb, type MariadbConfig, ON_DISK, startMariadb } from "../servers/mariadb.ts";
import type { Findings } from "./check.ts";
import { fault, type Fault, type FaultOn, type Scene, type Servers, type Topology } from "./fault.ts";
import { startProxy, type Proxy } from "./proxy.ts";
import type { MysqlOrders } from "./stores.ts";

/** One server. */
export interface Single extends Servers {
  readonly server: Mariadb;
}

const TABLE = `${DATABASE}.coatcheck_sessions`;

/** What may be lost where nothing is promised. */
export const LOSES_ALL: readonly (keyof Findings)[] = ["lost", "oldSecrets", "signedOut", "resurrected"];

/** Makes the table, and the user as whom the apps come: one that a server can refuse what it refuses everybody. */
export async function prepared<S extends Mariadb>(server: S): Promise<S> {
  await server.ask("CREATE USER app@'127.0.0.1', other@'127.0.0.1'");
  await server.ask(`GRANT ALL ON ${DATABASE}.* TO app@'127.0.0.1'`);
  const pool = server.pool({ connectionLimit: 1 });
  await mysqlStore(pool).createSchema();
  await pool.end();
  return server;
}

/** How the apps reach a server. */
export function ordersFor(client: string, port: number): MysqlOrders {
  return { engine: "mysql", client, options: { host: "127.0.0.1", port, user: "app", database: DATABASE } };
}

/** A server that keeps what it acknowledges on its disk, unless `config` says otherwise. */
export function single(client: string, config: MariadbConfig = {}, name = "one server"): Topology<Single> {
  return {
    name,
    async start() {
      const server = await prepared(await startMariadb({ ...ON_DISK, ...config }));
      return { server, store: ordersFor(client, server.port), stop: server.stop };
    },
  };
}

/** Connections of a test to a server, which are ended with the fault. */
function outsiders(): { open(server: Mariadb, user?: string): Promise<Connection>; close(): void } {
  const open: Connection[] = [];
  return {
    async open(server, user) {
      const connection = await server.connect(user);
      open.push(connection);
      return connection;
    },
    close() {
      for (const connection of open.splice(0)) connection.destroy();
    },
  };
}

/** What may happen to one server. */
export function singleFaults(): readonly FaultOn<Single>[] {
  return [...lifeFaults, ...lockFaults(), ...limitFaults(), ...dataFaults];
}

const lifeFaults: readonly FaultOn<Single>[] = [
  {
    name: "kill",
    title: "killed (SIGKILL) in mid-traffic, back after 2 s",
    promised: "503 meanwhile, then on without a restart; nothing acknowledged is lost",
    fails: "must",
    lasts: 2_000,
    inject: ({ server }) => server.process.kill(),
    clear: ({ server }) => server.restart(),
  },
  {
    name: "stop",
    title: "stands still (SIGSTOP) for 5 s",
    promised: "503 within the store timeout",
    fails: "must",
    lasts: 5_000,
    inject: ({ server }) => server.process.pause(),
    clear: ({ server }) => server.process.resume(),
  },
  {
    name: "connections",
    title: "cuts all connections, ten times in 2 s",
    promised: "requests on the way may be 503; the next one works",
    fails: "may",
    lasts: 2_000,
    every: 200,
    inject: async ({ server }) => void (await server.ask("KILL CONNECTION USER app")),
  },
];

function lockFaults(): readonly FaultOn<Single>[] {
  const { open, close } = outsiders();
  const locked = (name: string, title: string, promised: string, sql: string): FaultOn<Single> => ({
    name,
    title,
    promised,
    fails: "must",
    lasts: 3_000,
    async inject({ server }) {
      const connection = await open(server);
      await connection.query("BEGIN");
      await connection.query(sql);
    },
    clear: close,
  });
  return [
    locked(
      "rows-locked",
      "a long transaction locks all sessions for 3 s",
      "changes are 503, and reads as long as the changes that wait take all connections of the pool",
      `SELECT 1 FROM ${TABLE} FOR UPDATE`,
    ),
    locked(
      "table-locked",
      "a migration locks the table for 3 s",
      "503 within the store timeout",
      `LOCK TABLES ${TABLE} WRITE`,
    ),
    {
      name: "deadlocks",
      title: "transactions of another app lock sessions crosswise, again and again for 3 s",
      promised: "nobody notices",
      fails: "never",
      lasts: 3_000,
      every: 50,
      inject: ({ server }, scene) => crosswise(server, scene.sessions()),
    },
  ];
}

/** Two transactions that each have what the other one wants: one of them is undone. */
async function crosswise(server: Mariadb, sessions: readonly string[]): Promise<void> {
  const lock = `SELECT 1 FROM ${TABLE} WHERE \`key\` = ? FOR UPDATE`;
  const keys = [sessions.at(-1), sessions.at(-2)].map((session) => `user/${session}`);
  const both = await Promise.all([server.connect(), server.connect()]);
  try {
    for (const [i, one] of both.entries()) {
      await one.query("BEGIN");
      await one.query(lock, [keys[i]]);
    }
    // Whoever has both goes, and so lets the other one have them.
    await Promise.allSettled(both.map((one, i) => one.query(lock, [keys[1 - i]]).finally(() => one.destroy())));
  } finally {
    for (const one of both) one.destroy();
  }
}

/** The fewest connections that a server can be told to allow. */
const FEWEST = 10;

function limitFaults(): readonly FaultOn<Single>[] {
  const { open, close } = outsiders();
  return [
    {
      name: "connections-full",
      title: "others take all connections that the server allows for 3 s",
      promised: "503 meanwhile",
      fails: "must",
      lasts: 3_000,
      async inject({ server }) {
        const administrator = await open(server);
        await administrator.query(`SET GLOBAL max_connections = ${FEWEST}`);
        let taken = 1;
        const take = async (): Promise<void> => {
          try {
            await open(server, "other");
            taken++;
          } catch {
            // Whoever comes first has the next one: the apps, again, or we.
            await administrator.query("KILL CONNECTION USER app");
          }
        };
        for (;;) {
          if (taken === FEWEST) return;
          await take();
        }
      },
      async clear({ server }) {
        close();
        await server.ask("SET GLOBAL max_connections = 151");
      },
    },
    {
      name: "read-only",
      title: "takes no changes (read_only) for 3 s",
      promised: "reads go on, changes are 503",
      fails: "must",
      lasts: 3_000,
      inject: async ({ server }) => void (await server.ask("SET GLOBAL read_only = 1")),
      clear: async ({ server }) => void (await server.ask("SET GLOBAL read_only = 0")),
    },
  ];
}

const dataFaults: readonly FaultOn<Single>[] = [
  {
    name: "rebuilt",
    title: "the table is written anew (ALTER TABLE … FORCE), again and again for 2 s",
    promised: "nobody notices",
    fails: "never",
    lasts: 2_000,
    every: 100,
    inject: async ({ server }) => void (await server.ask(`ALTER TABLE ${TABLE} FORCE`)),
  },
  {
    name: "garbage",
    title: "half of the records are overwritten with garbage",
    promised: "their owners are anonymous, nothing crashes",
    fails: "never",
    inject: ({ server }, scene) => spoil(server, scene),
  },
  {
    name: "truncate",
    title: "emptied (TRUNCATE)",
    promised: "everyone is anonymous, nothing crashes",
    fails: "never",
    inject: ({ server }, { lose }) => lose("all", async () => void (await server.ask(`TRUNCATE ${TABLE}`))),
  },
];

/** Puts what is no record of ours where records are. */
async function spoil(server: Mariadb, { lose, sessions }: Scene): Promise<void> {
  const chosen = sessions().filter((_, at) => at % 2 === 0);
  const garbage = ["''", "'garbage'", "'{}'", "'1'", "0x010200fffe", "0x017b", "REPEAT('9', 4000)"];
  await lose(chosen, async () => {
    for (const [at, session] of chosen.entries()) {
      const value = garbage[at % garbage.length];
      await server.ask(`UPDATE ${TABLE} SET version = 'x', value = ${value} WHERE \`key\` = 'user/${session}'`);
    }
  });
}

// --- settings -----------------------------------------------------------------------------------------------------------

/** What may happen in other settings. */
export function settingFaults(client: string): readonly Fault[] {
  const [kill] = lifeFaults as [FaultOn<Single>];
  return [
    fault(single(client, { "transaction-isolation": "SERIALIZABLE" }, "one server, serializable"), {
      name: "serializable",
      title: "all transactions are serializable",
      promised: "nobody notices: what was undone is done again",
      fails: "never",
      inject: () => {},
    }),
    fault(single(client, { "innodb-flush-log-at-trx-commit": "0" }, "one server, innodb_flush_log_at_trx_commit 0"), {
      ...kill,
      name: "kill-unflushed",
      promised: "503 meanwhile; the changes and sign-outs of the last second may be lost",
      allows: LOSES_ALL,
    }),
  ];
}

// --- a wire that can be cut ---------------------------------------------------------------------------------------------

interface Wired extends Single {
  readonly wire: Proxy;
}

function wired(client: string): Topology<Wired> {
  return {
    name: "one server",
    async start(folder) {
      const servers = await single(client).start(folder);
      const wire = await startProxy(servers.server.port);
      const stop = async (): Promise<void> => {
        await wire.stop();
        await servers.stop();
      };
      return { ...servers, wire, stop, store: ordersFor(client, wire.port) };
    },
  };
}

/** What may happen to the connections. */
export function wireFaults(client: string): readonly Fault[] {
  return [
    fault(wired(client), {
      name: "answers",
      title: "does what it is told, and its answers are lost with all connections, again and again for 3 s",
      promised: "503; nothing is done twice",
      fails: "may",
      lasts: 3_000,
      every: 100,
      inject: ({ wire }) => wire.loseAnswers(5),
    }),
  ];
}
