import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { defineSession, type SessionStore } from "coatcheck";
import { memoryStore } from "coatcheck/store/memory";
import { sessionAgent, type SessionAgent } from "coatcheck/testing";
import { shop } from "../../examples/shop/app.ts";
import type { ShopData, ShopSessions } from "../../examples/shop/sessions.ts";

const servers: Server[] = [];

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

afterEach(() => {
  vi.restoreAllMocks();
  for (const server of servers.splice(0)) server.close();
});

async function visitorOf(user: ShopSessions): Promise<SessionAgent> {
  const server = createServer(shop(user)).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return sessionAgent(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

async function addHat(agent: SessionAgent, accept = "text/html"): Promise<Response> {
  const body = new URLSearchParams({ item: "hat", quantity: "1" });
  return await agent.fetch("/cart", { method: "POST", headers: { Accept: accept }, body });
}

describe("what a visitor of the shop sees", () => {
  test("when the store is down: 503, as a page and as JSON, and the cookie stays", async () => {
    const store = memoryStore();
    let down = false;
    const moody: SessionStore = {
      ...store,
      read(...args) {
        if (down) throw new Error("disk on fire at /secret/path");
        return store.read(...args);
      },
    };
    const agent = await visitorOf(defineSession<ShopData>({ name: "shop", store: moody }));
    await addHat(agent);
    const cookie = agent.cookieHeader();
    down = true;
    const page = await agent.fetch("/cart", { headers: { Accept: "text/html" } });
    expect(page.status).toBe(503);
    const text = await page.text();
    expect(text).toContain("The cloakroom is closed for a moment");
    expect(text).not.toContain("secret");
    const json = await agent.fetch("/cart", { headers: { Accept: "application/json" } });
    expect([json.status, await json.json()]).toEqual([
      503,
      { error: "ERR_SESSION_STORE", message: expect.any(String) },
    ]);
    expect(agent.cookieHeader()).toBe(cookie);
    expect((await agent.fetch("/healthz")).status).toBe(200);
    down = false;
    expect(await (await agent.fetch("/cart")).text()).toContain("Felt hat");
  });

  test("when others keep writing: 409, and nothing was written", async () => {
    const store = memoryStore();
    const crowded: SessionStore = { ...store, update: () => "conflict" };
    const user = defineSession<ShopData>({ name: "shop", store: crowded, concurrency: "reject" });
    const agent = await visitorOf(user);
    await addHat(agent);
    const page = await addHat(agent);
    expect([page.status, page.headers.get("Location")]).toEqual([409, null]);
    expect(await page.text()).toContain("Somebody was faster");
    const json = await addHat(agent, "application/json");
    expect(await json.json()).toMatchObject({ error: "ERR_SESSION_CONFLICT" });
  });

  test("when the shop itself is wrong: 500, and not a word of why", async () => {
    const user = defineSession<ShopData>({ name: "shop", store: memoryStore() });
    const broken: ShopSessions = {
      ...user,
      from() {
        throw new Error("password of the database: hunter2");
      },
    };
    const agent = await visitorOf(broken);
    const page = await agent.fetch("/", { headers: { Accept: "text/html" } });
    expect(page.status).toBe(500);
    const text = await page.text();
    expect(text).toContain("Something broke");
    expect(text).not.toContain("hunter2");
    const json = await agent.fetch("/", { headers: { Accept: "application/json" } });
    expect(await json.json()).toMatchObject({ error: "internal" });
    expect(console.error).toHaveBeenCalledTimes(2);
  });
});
