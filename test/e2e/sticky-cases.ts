/**
 * What sticky routing promises, as tests for a load balancer with a configuration of `examples/fleet`.
 */
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../servers/server-process.ts";
import {
  newClient,
  ROUTES,
  signedIn,
  startFleet,
  type Answer,
  type Client,
  type Fleet,
  type Route,
  type StartBalancer,
} from "./sticky-fleet.ts";

const TOKEN = "__Host-Http-user";
const ROUTE = `${TOKEN}-route`;
const CLIENTS = 24;
/** What `drain()` waits for by default, less what a round of requests may take. */
const NEARLY_QUIET = 4000;

/** Defines the tests. */
export function stickyCases(file: string, startBalancer: StartBalancer, balance: "cookie" | "hash"): void {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet(file, startBalancer, balance);
  });
  afterAll(async () => await fleet?.stop());

  test("all requests of a client go to one server, and the clients to all servers", async () => {
    const clients = await signedIn(fleet, CLIENTS);
    const homes = await homesOf(clients);
    expect(new Set(homes.values())).toEqual(new Set(ROUTES));
    for (let round = 0; round < 5; round++) {
      await Promise.all(clients.flatMap((client) => [stays(client, homes), stays(client, homes, "/visit")]));
    }
    const visits = await Promise.all(clients.map(async ({ get: ask }) => (await ask()).visits));
    expect(visits).toEqual(clients.map(() => 5));
  });

  test("neither a sign-in nor new secrets move a client", async () => {
    const guests = Array.from({ length: CLIENTS }, (_, index) => newClient(fleet, `guest-${index}`));
    await Promise.all(guests.map(({ post }) => post("/visit")));
    const homes = await homesOf(guests);
    for (const client of guests) {
      const before = client.agent.cookies.get(TOKEN)?.value;
      await stays(client, homes, "/login", `username=${client.name}`);
      expect(client.agent.cookies.get(TOKEN)?.value).not.toBe(before);
      expect(await stays(client, homes)).toMatchObject({ subject: client.name, visits: 1 });
    }
  });

  test("what a client says of where it comes from does not get through", async () => {
    const client = newClient(fleet, "forger");
    const headers = { Forwarded: "proto=http", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example" };
    expect((await client.agent.fetch("/visit", { method: "POST", headers })).status).toBe(200);
    const asking = get({ port: fleet.plainPort, host: "127.0.0.1", headers: { "X-Forwarded-Proto": "https" } });
    const [answer] = (await once(asking, "response")) as [IncomingMessage];
    answer.resume();
    expect(answer.headers.location).toMatch(/^https:\/\//);
  });

  if (balance === "cookie") forgedRoutes(() => fleet);
  else noRoutes(() => fleet);

  test("a drained server empties, signs nobody out and gets no more requests", { timeout: 90_000 }, async () => {
    // What is bound by a cookie is let go by the server itself, unless the load balancer was told not to send it any more.
    const letsGo = balance === "cookie" && fleet.balancer.reload === undefined;
    await drained(fleet, "b", letsGo);
  });

  test("a server that was killed has its clients go to others, who know them", { timeout: 60_000 }, async () => {
    const clients = await signedIn(fleet, CLIENTS);
    await Promise.all(clients.map(({ post }) => post("/visit")));
    const homes = await homesOf(clients);
    const before = new Map(homes);
    expect([...homes.values()]).toContain("a");
    await fleet.server("a").kill();
    for (const client of clients) {
      const answer = await client.get();
      expect(answer).toMatchObject({ status: 200, subject: client.name, visits: 1 });
      if (before.get(client.name) === "a") homes.set(client.name, answer.server);
      expect(answer.server).toBe(homes.get(client.name));
    }
    expect([...homes.values()]).not.toContain("a");
    for (let round = 0; round < 3; round++) await Promise.all(clients.map((client) => stays(client, homes)));
  });
}

function forgedRoutes(fleet: () => Fleet): void {
  test("a forged route changes where a request goes, and nothing else", async () => {
    const [client] = (await signedIn(fleet(), 1)) as [Client];
    const route = client.agent.cookies.get(ROUTE);
    const attributes = route?.attributes ?? {};
    for (const forged of [...ROUTES, "z", "a|b", "127.0.0.1:6379", "x".repeat(2000)]) {
      client.agent.cookies.set(ROUTE, { value: forged, attributes });
      const { server, status, subject, setCookies } = await client.get();
      const isReal = ROUTES.some((one) => one === forged);
      expect([status, subject, setCookies.length]).toEqual([200, client.name, isReal ? 0 : 1]);
      if (isReal) expect(server).toBe(forged);
      expect(client.agent.cookies.get(ROUTE)?.value).toBe(server);
      expect((await client.get()).server).toBe(server);
    }
  });
}

function noRoutes(fleet: () => Fleet): void {
  test("the session's cookie is the only one, and a stranger's or worthless id leads nowhere else", async () => {
    const [client] = (await signedIn(fleet(), 1)) as [Client];
    expect([...client.agent.cookies.keys()]).toEqual([TOKEN]);
    for (const value of ["", "x", "x".repeat(43), `${client.agent.cookies.get(TOKEN)?.value.slice(0, 21)}`]) {
      const forger = newClient(fleet(), "forger");
      forger.agent.cookies.set(TOKEN, { value, attributes: {} });
      expect(await forger.get()).toMatchObject({ status: 200, subject: null, visits: 0 });
    }
  });
}

async function drained(fleet: Fleet, route: Route, letsGo: boolean): Promise<void> {
  const clients = await signedIn(fleet, CLIENTS);
  const bound = [...(await homesOf(clients)).values()].filter((home) => home === route).length;
  expect(bound).toBeGreaterThan(0);
  const server = fleet.server(route);
  await fleet.balancer.reload?.(fleet.config(route));
  let hasEnded = false;
  const ending = server.end().then(() => (hasEnded = true));
  let lastSeen = performance.now();
  const note = (answer: Answer): Answer => {
    if (answer.server === route) lastSeen = performance.now();
    return answer;
  };
  await until(
    `server ${route} drains`,
    async () => {
      for (const { name, get: ask } of clients) expect(note(await ask())).toMatchObject({ status: 200, subject: name });
      expect(note(await newClient(fleet, "newcomer").post("/visit"))).toMatchObject({ status: 200, visits: 1 });
      return hasEnded;
    },
    60_000,
  );
  await ending;
  expect(performance.now() - lastSeen).toBeGreaterThan(NEARLY_QUIET);
  expect(server.output()).toContain(`handed ${letsGo ? bound : 0} sessions over\n`);
  await comesBack(fleet, route);
}

/** It starts again, and gets new clients. */
async function comesBack(fleet: Fleet, route: Route): Promise<void> {
  await fleet.start(route);
  await fleet.balancer.reload?.(fleet.config());
  await until(
    `server ${route} gets new clients`,
    async () => (await newClient(fleet, "newcomer").get()).server === route,
  );
}

/** Where clients are at home: where their second request goes, since the first of a new session goes anywhere. */
async function homesOf(clients: readonly Client[]): Promise<Map<string, Route>> {
  const answers = await Promise.all(clients.map(async ({ name, get: ask }) => [name, (await ask()).server] as const));
  return new Map(answers);
}

/** A request (of a form, where there is a path) goes where its client is at home, and the client is told no route. */
async function stays(client: Client, homes: Map<string, Route>, path?: string, form?: string): Promise<Answer> {
  const answer = path === undefined ? await client.get() : await client.post(path, form);
  expect([client.name, answer.status, answer.server]).toEqual([client.name, 200, homes.get(client.name)]);
  expect(answer.setCookies.filter((line) => line.startsWith(ROUTE))).toEqual([]);
  return answer;
}
