/** Counts what requests cost: `worker.ts <kind> <adapter>`, with the flags of `measure.ts`. */
import { createHook } from "node:async_hooks";
import { ROUTES, type Adapter, type Cost, type Kind, type Route } from "./cost.ts";
import { serversOf, type Counters, type Server } from "./servers.ts";

const WARM_UP = 300;
const REQUESTS = 200;
const ROUNDS = 3;
const HOOKED = 20;

const [kind, adapter] = process.argv.slice(2) as [Kind, Adapter];
const costs = {} as Record<Route, Cost>;
for (const route of ROUTES) costs[route] = await costOf(route);
process.stdout.write(JSON.stringify(costs));

async function costOf(route: Route): Promise<Cost> {
  const { ours, bare, counters } = serversOf(kind, adapter);
  const client = { ours: await clientOf(ours, route), bare: await clientOf(bare, route) };
  for (const go of [client.ours, client.bare]) for (let times = 0; times < WARM_UP; times++) await go();
  const calls = await callsOf(client.ours, counters);
  const header = (await client.ours()) - (await client.bare());
  const bytes = Math.round((await allocated(client.ours)) - (await allocated(client.bare)));
  const promises = Math.round(100 * ((await promised(client.ours)) - (await promised(client.bare)))) / 100;
  return { ...calls, header, promises, bytes };
}

/** Makes a request and returns how long the header of its answer was. */
type Client = () => Promise<number>;

/** A client with a session. One who signs in has a new cookie each time. */
async function clientOf(server: Server, route: Route): Promise<Client> {
  let { cookie } = await server.request("seed", undefined);
  return async () => {
    const answer = await server.request(route, cookie);
    if (route === "sign-in") ({ cookie = cookie } = answer);
    return answer.headerBytes;
  };
}

async function callsOf(go: Client, counters: Counters): Promise<Counters> {
  const before = { ...counters };
  await go();
  return {
    storeCalls: counters.storeCalls - before.storeCalls,
    statements: counters.statements - before.statements,
  };
}

/** The bytes of a request, in the round that was least disturbed by compilers. */
async function allocated(go: Client): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    (globalThis as { gc?: () => void }).gc?.();
    const before = inUse();
    for (let times = 0; times < REQUESTS; times++) await go();
    least = Math.min(least, (inUse() - before) / REQUESTS);
  }
  return least;
}

function inUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function promised(go: Client): Promise<number> {
  let count = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === "PROMISE") count++;
    },
  });
  hook.enable();
  for (let times = 0; times < HOOKED; times++) await go();
  hook.disable();
  return count / HOOKED;
}
