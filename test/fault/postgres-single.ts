/** One PostgreSQL server, and what goes wrong with it. */
import { Client } from "pg";
import { postgresStore } from "../../src/store/postgres.ts";
import { postgresAt, type PostgresConfig, type PostgresServer, startPostgresServer } from "../servers/postgres.ts";
import { fault, type Fault, type FaultOn, type Scene, type Servers, type Topology } from "./fault.ts";
import { startProxy, type Proxy } from "./proxy.ts";

/** One server. */
export interface Single extends Servers {
  readonly server: PostgresServer;
}

const TABLE = "coatcheck_sessions";

/** Makes the table. */
export async function prepared<S extends PostgresServer>(server: S): Promise<S> {
  const client = new Client(postgresAt(server.port));
  await client.connect();
  try {
    await postgresStore(client).createSchema();
  } finally {
    await client.end();
  }
  return server;
}

/** A server. `directory` makes the one for its data. */
export function single(client: string, config: PostgresConfig = {}, name = "one server"): Topology<Single> {
  return {
    name,
    async start() {
      const server = await prepared(await startPostgresServer({ max_connections: "30", ...config }));
      return { server, store: { engine: "postgres", client, port: server.port }, stop: server.stop };
    },
  };
}

/** Connections of a test to a server, which are ended with the fault. */
function outsiders(): { open(port: number): Promise<Client>; close(): Promise<void> } {
  const open: Client[] = [];
  return {
    async open(port) {
      const client = new Client({ ...postgresAt(port), application_name: "outsider" });
      client.on("error", () => {});
      await client.connect();
      open.push(client);
      return client;
    },
    async close() {
      await Promise.all(open.splice(0).map((client) => client.end()));
    },
  };
}

const CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'test'";

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
    inject: ({ server }) => server.kill(),
    clear: ({ server }) => server.restart(),
  },
  {
    name: "stop",
    title: "stands still (SIGSTOP) for 5 s",
    promised: "503 within the store timeout",
    fails: "must",
    lasts: 5_000,
    inject: ({ server }) => server.pause(),
    clear: ({ server }) => server.resume(),
  },
  {
    name: "connections",
    title: "cuts all connections, ten times in 2 s",
    promised: "requests on the way may be 503; the next one works",
    fails: "may",
    lasts: 2_000,
    every: 200,
    inject: async ({ server }) => void (await server.ask(CUT)),
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
      const client = await open(server.port);
      await client.query(`BEGIN; ${sql}`);
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
      `LOCK TABLE ${TABLE} IN ACCESS EXCLUSIVE MODE`,
    ),
  ];
}

const CUT_APPS = `${CUT} AND application_name <> 'outsider'`;
const TOO_MANY = "53300";

function limitFaults(): readonly FaultOn<Single>[] {
  const { open, close } = outsiders();
  let first: Client | undefined;
  return [
    {
      name: "connections-full",
      title: "others take all connections that the server allows for 3 s",
      promised: "503 meanwhile",
      fails: "must",
      lasts: 3_000,
      every: 100,
      async inject({ server }) {
        // Whoever comes first has it: the apps, again, or we.
        first ??= await open(server.port);
        await first.query(CUT_APPS);
        for (;;) {
          try {
            await open(server.port);
          } catch (error) {
            if ((error as { code?: unknown }).code === TOO_MANY) return;
            throw error;
          }
        }
      },
      async clear() {
        first = undefined;
        await close();
      },
    },
    {
      name: "read-only",
      title: "takes no changes (default_transaction_read_only) for 3 s",
      promised: "reads go on, changes are 503",
      fails: "must",
      lasts: 3_000,
      inject: ({ server }) => configured(server, "default_transaction_read_only = 'on'"),
      clear: ({ server }) => configured(server, "default_transaction_read_only = 'off'"),
    },
  ];
}

async function configured(server: PostgresServer, setting: string): Promise<void> {
  await server.ask(`ALTER SYSTEM SET ${setting}`);
  await server.ask("SELECT pg_reload_conf()");
}

const dataFaults: readonly FaultOn<Single>[] = [
  {
    name: "vacuum-full",
    title: "the table is written anew (VACUUM FULL), again and again for 2 s",
    promised: "nobody notices",
    fails: "never",
    lasts: 2_000,
    every: 100,
    inject: async ({ server }) => void (await server.ask(`VACUUM FULL ${TABLE}`)),
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
async function spoil(server: PostgresServer, { lose, sessions }: Scene): Promise<void> {
  const chosen = sessions().filter((_, at) => at % 2 === 0);
  const garbage = ["", "garbage", "{}", "1", "\u0001\u0002", "\u0001no JSON", "9".repeat(4_000)];
  await lose(chosen, async () => {
    for (const [at, session] of chosen.entries()) {
      await server.ask(`UPDATE ${TABLE} SET version = 'x', value = $2 WHERE right(key, length($1)) = $1`, [
        session,
        garbage[at % garbage.length],
      ]);
    }
  });
}

// --- settings -----------------------------------------------------------------------------------------------------------

/** What may happen in other settings. */
export function settingFaults(client: string): readonly Fault[] {
  const [kill] = lifeFaults as [FaultOn<Single>];
  const serializable = single(client, { default_transaction_isolation: "serializable" }, "one server, serializable");
  return [
    fault(serializable, {
      name: "serializable",
      title: "all transactions are serializable",
      promised: "nobody notices: what could not be serialized is done again",
      fails: "never",
      inject: () => {},
    }),
    fault(single(client, { synchronous_commit: "off" }, "one server, synchronous_commit off"), {
      ...kill,
      name: "kill-async",
      promised: "503 meanwhile; the changes and sign-outs of the last moments may be lost",
      allows: ["lost", "oldSecrets", "signedOut", "resurrected"],
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
      return { ...servers, wire, stop, store: { engine: "postgres", client, port: wire.port } };
    },
  };
}

/** What may happen to the connections. */
export function wireFaults(client: string): readonly Fault[] {
  return [
    fault(wired(client), {
      name: "answers",
      title: "does what it is told, and its answers are lost with all connections, again and again for 3 s",
      promised: "503, or the client asks again; nothing is done twice",
      fails: "may",
      lasts: 3_000,
      every: 100,
      inject: ({ wire }) => wire.loseAnswers(5),
    }),
  ];
}
