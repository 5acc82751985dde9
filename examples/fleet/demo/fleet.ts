import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fleetServer, type FleetServer } from "./fleet-server.ts";
import { createJournal } from "./journal.ts";
import { createMeter } from "./meter.ts";
import type { Options } from "./options.ts";
import { choosePort, freePort } from "./ports.ts";
import { chooseProxy, startProxy } from "./proxy.ts";
import { openRoom } from "./room/open-room.ts";
import { openSharedStore } from "./shared-store.ts";
import { createVisitors } from "./visitors.ts";

/** The whole demo. */
export interface Fleet {
  /** The control room. */
  readonly url: string;
  /** The shop, through the proxy. */
  readonly shopUrl: string;
  /** What it is made of. */
  readonly words: string;
  /** Rejects when something without which the demo is none has ended by itself. */
  readonly broken: Promise<never>;
  close(): Promise<void>;
}

const NAMES = ["a", "b", "c"];
const [USUAL_PORT, USUAL_SHOP_PORT] = [4000, 4001];

/** Starts everything; when a part cannot start, ends those that have, and throws why. */
export async function openFleet(options: Options): Promise<Fleet> {
  const parts = new AsyncDisposableStack();
  try {
    return await assemble(options, parts);
  } catch (error) {
    await parts.disposeAsync();
    throw error;
  }
}

async function assemble(options: Options, parts: AsyncDisposableStack): Promise<Fleet> {
  const kind = chooseProxy(options.proxy);
  const [port, shopPort] = [
    await choosePort(options.port, USUAL_PORT),
    await choosePort(options.shopPort, USUAL_SHOP_PORT),
  ];
  const [url, shopUrl] = [`http://localhost:${port}`, `http://localhost:${shopPort}`];
  const directory = temporaryDirectory(parts);
  const store = await openSharedStore(options.store, directory);
  parts.defer(store.stop);

  const [journal, meter] = [createJournal(), createMeter(NAMES)];
  // The site is plain http from end to end, and says so.
  const env = { ...store.env, PLAIN_HTTP: "1", FRAMED_BY: url };
  const servers: FleetServer[] = [];
  let changed = (): void => {};
  for (const name of NAMES) {
    const upstream = { name, port: await freePort() };
    const server = fleetServer(upstream, { env, drains: kind.drains, meter, journal, changed: () => changed() });
    parts.defer(server.stop);
    servers.push(server);
  }
  await Promise.all(servers.map((server) => server.start()));

  const plan = { port: shopPort, upstreams: servers, directory };
  const proxy = await startProxy(kind, plan, (news) => journal.note(news));
  parts.defer(proxy.stop);
  const visitors = createVisitors(shopUrl, journal);
  parts.defer(visitors.stop);
  const instead = store.missing === undefined ? "" : ` (${store.missing})`;
  const words = `Three servers behind ${kind.words}, and ${store.words}${instead}`;
  const room = await openRoom(port, { url, shopUrl, words, servers, meter, journal, visitors });
  parts.defer(room.close);
  ({ changed } = room);
  journal.note(`${words}.`);

  const broken = proxy.ended.then(() => {
    throw new Error(`${kind.words} has ended by itself:\n${proxy.output()}`);
  });
  return { url, shopUrl, words, broken, close: async () => await parts.disposeAsync() };
}

/** Removed with everything else, also when the process ends in another way. */
function temporaryDirectory(parts: AsyncDisposableStack): string {
  const directory = mkdtempSync(join(tmpdir(), "coatcheck-fleet-"));
  const remove = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  process.once("exit", remove);
  parts.defer(() => {
    process.off("exit", remove);
    remove();
  });
  return directory;
}
