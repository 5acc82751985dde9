import { describe, expect, test } from "vitest";
import { byHash, byHome, homeIn, manyStores } from "../../examples/shards/many-stores.ts";
import { withSessions } from "../../src/adapter/fetch.ts";
import { defineSession, type SessionDefinition, type SessionStore } from "../../src/index.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { nearCache } from "../../src/store/near-cache.ts";
import { sessionAgent } from "../../src/testing/session-agent.ts";
import { storeCases } from "../../src/testing/store-cases.ts";

describe("several stores as one keep the store contract:", () => {
  for (const { name, run } of storeCases) {
    test(name, () => run(() => manyStores([memoryStore(), memoryStore(), memoryStore()], byHash(3))));
  }
});

test("that one of them has copies is said of all", () => {
  const near = nearCache(memoryStore(), { soleProcess: true, maxAge: "7s" });
  const sure = manyStores([memoryStore(), memoryStore()], byHash(2));
  expect(sure).toMatchObject({ cached: false, returnsSame: true });
  expect(sure).not.toHaveProperty("cachedFor");
  expect(manyStores([near, memoryStore()], byHash(2))).toMatchObject({ cached: true, cachedFor: 7_000 });
  expect(manyStores([near, { ...memoryStore(), cached: true }], byHash(2))).not.toHaveProperty("cachedFor");
});

test("keys are spread evenly", () => {
  const counts = [0, 0, 0, 0];
  const newId = homeIn("eu01");
  for (let n = 0; n < 8_000; n++) counts[byHash(4)(`user/${Buffer.from(newId()).toString("base64url")}`)]!++;
  for (const count of counts) expect(Math.abs(count - 2_000)).toBeLessThan(200);
});

test("news go on only while all stores tell", () => {
  const told: string[] = [];
  const gaps: { restored?(): void; lost?(): void }[] = [];
  const watched = (): SessionStore => ({
    ...memoryStore(),
    watch(_, of = {}) {
      gaps.push(of);
      return () => {};
    },
  });
  manyStores([watched(), watched()], byHash(2)).watch?.(() => {}, {
    restored: () => told.push("restored"),
    lost: () => told.push("lost"),
  });
  gaps[0]?.restored?.();
  expect(told).toEqual([]);
  gaps[1]?.restored?.();
  gaps[0]?.lost?.();
  gaps[1]?.lost?.();
  gaps[1]?.restored?.();
  expect(told).toEqual(["restored", "lost"]);
  gaps[0]?.restored?.();
  expect(told).toEqual(["restored", "lost", "restored"]);
});

test("a session is at home in one region, known in all, and ended everywhere", async () => {
  const regions = ["eu01", "us01"] as const;
  const stores = regions.map(() => memoryStore());
  const user = (region: string): SessionDefinition<{ n: number }> =>
    defineSession<{ n: number }>({
      name: "user",
      store: manyStores(stores, byHome(regions)),
      generateId: homeIn(region),
    });
  const [eu, us] = [user(regions[0]), user(regions[1])];
  const app = (definition: typeof eu): ((request: Request) => Promise<Response>) =>
    withSessions(async (request) => {
      const session = await definition.from(request);
      if (new URL(request.url).pathname === "/sign-in") session.authenticate("ada");
      return Response.json({ id: session.id, subject: session.subject ?? null });
    }, definition);
  const agent = sessionAgent((request) => app(request.url.includes("/us/") ? us : eu)(request));
  await sessionAgent(app(us)).fetch("http://localhost/sign-in");
  const { id } = (await (await agent.fetch("http://localhost/sign-in")).json()) as { id: string };
  expect(id.slice(0, 4)).toBe("eu01");
  const call = { now: Date.now() };
  expect(stores[0]!.read(`user/${id}`, call)).toBeDefined();
  expect(stores[1]!.read(`user/${id}`, call)).toBeUndefined();
  expect(await (await agent.fetch("http://localhost/us/")).json()).toEqual({ id, subject: "ada" });
  expect(await us.manager.revokeAll("ada")).toBe(2);
  expect(await (await agent.fetch("http://localhost/")).json()).toMatchObject({ subject: null });
});
