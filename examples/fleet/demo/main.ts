/**
 * The demo of a fleet: `npm run demo:fleet`. Starts a store, three shop servers, a proxy and the control room, and ends all of
 * them on Ctrl-C, SIGTERM, or when one that is needed has ended.
 */
import { openFleet, type Fleet } from "./fleet.ts";
import { HELP, optionsOf } from "./options.ts";

if (process.argv.includes("--help") || process.argv.includes("-h")) {
  console.log(HELP);
  process.exit(0);
}

let closing = false;
// From the beginning: also what is half open has to be closed.
const opening = open();
process.on("SIGINT", () => void close());
process.on("SIGTERM", () => void close());
process.on("SIGHUP", () => void close());
// npm tells its shell to end, and the shell does not tell us: without this the demo would outlive a killed npm.
const parent = process.ppid;
if (process.env["npm_lifecycle_event"] === "demo:fleet") {
  setInterval(() => process.ppid !== parent && void close(), 250).unref();
}

async function open(): Promise<Fleet> {
  try {
    const fleet = await openFleet(optionsOf(process.env));
    fleet.broken.catch((error: unknown) => closing || fail(error));
    console.log(`${fleet.words}.`);
    console.log(`The control room: ${fleet.url}`);
    console.log(`The shop:         ${fleet.shopUrl} (Ctrl-C ends everything)`);
    return fleet;
  } catch (error) {
    // What had been started is ended again.
    console.error(messageOf(error));
    return process.exit(1);
  }
}

function fail(error: unknown): void {
  console.error(messageOf(error));
  process.exitCode = 1;
  void close();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function close(): Promise<void> {
  if (closing) return;
  closing = true;
  const fleet = await opening;
  await fleet.close();
  process.exit();
}
