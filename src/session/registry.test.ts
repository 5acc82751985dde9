import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Browser, instrumented, setup, signIn } from "../../test/testbed.ts";
import { defineSession } from "../define-session.ts";
import { StoreError } from "../errors.ts";
import { memoryStore } from "../store/memory.ts";
import type { SessionStore } from "../store/store.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import type { SessionEvent } from "./events.ts";
import type { SessionManager } from "./manager.ts";

type Options = Parameters<typeof instrumented>[1];

/** A definition with `count` sessions of "ada", and its store, changed by `extra`. */
async function signedIn(count: number, extra: Options = {}) {
  const clock = fakeClock();
  const inner = memoryStore({ sweepInterval: false, clock });
  const store = instrumented(inner, extra);
  const user = defineSession<{ n: number }>({ name: "user", store, clock });
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    await new Browser(user).visit(user, (session) => {
      session.authenticate("ada");
      ids.push(session.id);
    });
  }
  return { clock, inner, store, user, ids };
}

async function walk(manager: SessionManager, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await manager.listAll({ cursor, limit });
    expect(page.sessions.length).toBeLessThanOrEqual(limit);
    ids.push(...page.sessions.map(({ id }) => id));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return ids;
}

describe("all sessions, page by page", () => {
  test("each of this definition, once, with what an administrator wants to know, and no token", async () => {
    const { user, store, clock, ids } = await signedIn(7);
    const cart = defineSession<{ n: number }>({ name: "cart", store, clock });
    await new Browser(cart).visit(cart, (session) => session.set({ n: 1 }));
    for (const limit of [1, 3, 7, 100]) expect((await walk(user.manager, limit)).toSorted()).toEqual(ids.toSorted());
    const { sessions, cursor } = await user.manager.listAll();
    expect(cursor).toBeUndefined();
    expect(sessions[0]).toMatchObject({ subject: "ada", createdAt: clock.now(), lastSeenAt: clock.now() });
    expect(await walk(cart.manager, 10)).toHaveLength(1);
  });

  test("P8: a cursor that a client made up is no error, and shows nobody else's sessions", async () => {
    const { user, store, clock, ids } = await signedIn(3);
    const cart = defineSession<{ n: number }>({ name: "cart", store, clock });
    await new Browser(cart).visit(cart, (session) => session.set({ n: 1 }));
    for (const cursor of ["", "x", "-1", "1e99", "../..", null, undefined]) {
      const { sessions } = await user.manager.listAll({ cursor });
      for (const { id } of sessions) expect(ids).toContain(id);
    }
  });

  test.each([0, -1, 1.5, Number.NaN, Infinity, "10" as unknown as number])(
    "a limit of %s is refused",
    async (limit) => {
      const { user } = await signedIn(1);
      await expect(user.manager.listAll({ limit })).rejects.toThrow(/^limit: /);
      await expect(user.manager.deleteExpired({ limit })).rejects.toThrow(TypeError);
    },
  );

  test("are what count() counts, each once, in a store that can list and not count", async () => {
    const twice = memoryStore({ sweepInterval: false });
    const { user } = await signedIn(5, { count: undefined as never });
    expect(await user.manager.count()).toBe(5);
    const store: SessionStore = {
      ...twice,
      count: undefined as never,
      list: async (prefix, page, call) => {
        const { records, cursor } = await twice.list(prefix, page, call);
        return { records: [...records, ...records], cursor };
      },
    };
    const doubled = defineSession<{ n: number }>({ name: "user", store });
    await new Browser(doubled).visit(doubled, (session) => session.set({ n: 1 }));
    expect(await doubled.manager.count()).toBe(1);
  });
});

describe("revokeAll", () => {
  test.each([
    ["together, where the store can", {}, []],
    ["one by one, where it cannot", { deleteBySubject: undefined as never }, ["delete", "delete"]],
  ] as const)("ends them %s, and tells of each", async (_, extra, calls) => {
    const { user, store, ids } = await signedIn(3, extra);
    const events: SessionEvent[] = [];
    user.manager.on("revoked", (event) => events.push(event));
    store.calls.length = 0;
    expect(await user.manager.revokeAll("ada", { except: ids[1]! })).toBe(2);
    expect(store.calls).toEqual(calls);
    expect(events.map(({ id, subject }) => `${subject} ${id}`).toSorted()).toEqual(
      [`ada ${ids[0]}`, `ada ${ids[2]}`].toSorted(),
    );
    expect(await walk(user.manager, 10)).toEqual([ids[1]]);
    expect(await user.manager.revokeAll("grace")).toBe(0);
  });

  test("a store that fails is a StoreError", async () => {
    const { user } = await signedIn(1, {
      deleteBySubject() {
        throw new Error("disk full");
      },
    });
    await expect(user.manager.revokeAll("ada")).rejects.toThrow(StoreError);
  });
});

describe("sessions that ended by their clocks", () => {
  test("are told of with their public id and subject, and removed, at the latest when they are swept", async () => {
    const { user, clock, inner, ids } = await signedIn(2);
    const events: SessionEvent[] = [];
    user.manager.on("expired", (event) => events.push(event));
    clock.advance(12 * 3_600_000);
    expect([events.length, await user.manager.deleteExpired({ limit: 1 })]).toEqual([0, 1]);
    expect(await user.manager.deleteExpired()).toBe(1);
    expect(events.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(events[0]).toMatchObject({ type: "expired", name: "user", subject: "ada", at: clock.now() });
    expect(inner.count("", { now: 0 })).toBe(0);
  });

  test("are told of by the sweeper of the store, to the definition whose they are, as long as it listens", async () => {
    const clock = fakeClock();
    const store = memoryStore({ clock });
    const user = defineSession<{ n: number }>({ name: "user", store, clock });
    const cart = defineSession<{ n: number }>({ name: "cart", store, clock });
    const heard: string[] = [];
    const ends = [user, cart].map(({ name, manager }) => manager.on("expired", () => void heard.push(name)));
    await new Browser(user).visit(user, (session) => session.set({ n: 1 }));
    clock.advance(3_600_000);
    expect(heard).toEqual(["user"]);
    for (const end of ends) end();
    await new Browser(user).visit(user, (session) => session.set({ n: 1 }));
    clock.advance(3_600_000);
    expect([heard, store.count("", { now: 0 })]).toEqual([["user"], 0]);
  });

  test("are told of to those who listen to everything, too; a request is told nothing by it", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(12 * 3_600_000);
    expect(it.events.filter((event) => event === "expired")).toEqual(["expired"]);
  });

  test("the store is asked to tell when the first listens, once, and let go after the last", async () => {
    let telling = 0;
    let asked = 0;
    const inner = memoryStore({ sweepInterval: false });
    const store: SessionStore = {
      ...inner,
      onExpired(listener) {
        asked++;
        telling++;
        const end = inner.onExpired(listener);
        return () => {
          telling--;
          end();
        };
      },
    };
    const { manager } = defineSession<{ n: number }>({ name: "user", store });
    manager.on("created", () => undefined);
    expect([asked, telling]).toEqual([0, 0]);
    const ends = [
      manager.on("expired", () => undefined),
      manager.on("*", () => undefined),
      manager.on("expired", () => undefined),
    ];
    expect([asked, telling]).toEqual([1, 1]);
    for (const end of [...ends, ...ends]) end();
    expect([asked, telling]).toEqual([1, 0]);
    manager.on("*", () => undefined)();
    expect([asked, telling]).toEqual([2, 0]);
  });
});

describe("a store that lacks a capability", () => {
  const { create, read, update, touch, delete: remove } = memoryStore({ sweepInterval: false });
  const bare = { name: "bareStore", create, read, update, touch, delete: remove };

  test.each([
    ["list", "listBySubject", (m: SessionManager) => m.list("ada")],
    ["listAll", "list", (m: SessionManager) => m.listAll()],
    ["revokeAll", "listBySubject", (m: SessionManager) => m.revokeAll("ada")],
    ["count", "count", (m: SessionManager) => m.count()],
    ["deleteExpired", "deleteExpired", (m: SessionManager) => m.deleteExpired()],
    ['on("expired")', "onExpired", async (m: SessionManager) => m.on("expired", () => undefined)],
  ] as const)("%s says so at the call, by name", async (method, capability, act) => {
    const { manager } = defineSession<{ n: number }>({ name: "user", store: bare });
    const error: unknown = await act(manager).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toBe(`${method} needs a store that offers ${capability}, and bareStore does not`);
    manager.on("*", () => undefined);
  });

  test.each([
    ["listAll", (m: SessionManager) => m.listAll()],
    ["deleteExpired", (m: SessionManager) => m.deleteExpired()],
    ['on("expired")', async (m: SessionManager) => m.on("expired", () => undefined)],
  ] as const)("without a store at all, %s says that too", async (method, act) => {
    const keys = randomBytes(32).toString("base64url");
    const { manager } = defineSession<{ n: number }>({ name: "prefs", keys, revocation: "none" });
    const error: unknown = await act(manager).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toMatch(`${method} needs sessions in a store`);
    manager.on("*", () => undefined);
  });
});
