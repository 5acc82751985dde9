import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import {
  Browser,
  eventsOf,
  HOUR,
  KEY,
  instrumented,
  MINUTE,
  type Data,
  type Instrumented,
} from "../../test/testbed.ts";
import {
  clientCertificate,
  cookie,
  defineSession,
  type Session,
  type SessionDefinition,
  type SessionOptions,
  type SessionStore,
} from "../index.ts";
import { encodeBase64url } from "../internal/base64url.ts";
import { concat, lengthPrefixed, utf8 } from "../internal/bytes.ts";
import { sha256 } from "../internal/crypto.ts";
import { directoryStore } from "../store/directory.ts";
import { memoryStore } from "../store/memory.ts";
import { sqliteStore } from "../store/sqlite.ts";
import { fakeClock } from "../testing/fake-clock.ts";

const ADA = { certificate: "ad".repeat(32) };
const BOB = { certificate: "b0".repeat(32) };

interface Setup {
  readonly clock: ReturnType<typeof fakeClock>;
  readonly store: Instrumented;
  readonly user: SessionDefinition<Data>;
  readonly events: string[];
  readonly client: Browser;
}

function setup(options: Partial<SessionOptions> = {}, made?: SessionStore): Setup {
  const clock = fakeClock();
  const store = instrumented(made ?? memoryStore({ clock }));
  const user = defineSession<Data>({
    name: "user",
    store,
    clock,
    transport: clientCertificate(),
    ...options,
    schema: undefined,
    codec: undefined,
  });
  return { clock, store, user, events: eventsOf(user), client: new Browser(user) };
}

const count = (session: Session<Data>): void =>
  session.update((data) => ({ ...data, visits: (data?.visits ?? 0) + 1 }));

describe("a session of a client who is known by its certificate", () => {
  test("is found again by the certificate alone, costs one call to read and two to write, and sets no cookie", async () => {
    const { user, client, store, events } = setup();
    await client.visit(user, count, ADA);
    expect(events).toEqual(["created"]);
    store.calls.length = 0;
    expect(await client.visit(user, ({ data, isNew }) => [data, isNew], ADA)).toEqual([{ visits: 1 }, false]);
    expect(store.calls).toEqual(["read"]);
    store.calls.length = 0;
    await client.visit(user, count, ADA);
    expect(store.calls).toEqual(["read", "update"]);
    expect(await client.visit(user, ({ data, isNew }) => [data, isNew], BOB)).toEqual([undefined, true]);
    expect(client.jar.size).toBe(0);
    expect(events.filter((event) => event.startsWith("rejected"))).toEqual([]);
  });

  test("has one public id from the first moment on, which does not show the certificate", async () => {
    const { user, client } = setup();
    const before = await client.visit(user, ({ id }) => id, ADA);
    await client.visit(user, count, ADA);
    expect(await client.visit(user, ({ id }) => id, ADA)).toBe(before);
    expect(before).toMatch(/^[\w-]{22}$/);
    const other = setup({ name: "other" });
    expect(await other.client.visit(other.user, ({ id }) => id, ADA)).not.toBe(before);
    const tenant = setup({ audience: "tenant" });
    expect(await tenant.client.visit(tenant.user, ({ id }) => id, ADA)).not.toBe(before);
  });

  test("P12: two first requests at once make one session, with what both did", async () => {
    const { user, client } = setup();
    const [one, two] = [client.arrive(ADA), client.arrive(ADA)];
    count(await one.from(user));
    const second = await two.from(user);
    count(second);
    second.patch({ name: "Ada" });
    await one.answer();
    await two.answer();
    expect(await client.visit(user, ({ data }) => data, ADA)).toEqual({ visits: 2, name: "Ada" });
  });

  test('P12: with concurrency "reject" the second of two first requests is refused', async () => {
    const { user, client } = setup({ concurrency: "reject" });
    const [one, two] = [client.arrive(ADA), client.arrive(ADA)];
    count(await one.from(user));
    count(await two.from(user));
    await one.answer();
    await expect(two.answer()).rejects.toThrow("Session not saved");
  });

  test("P11, P13: signing in keeps the data; a request that began before can write no more", async () => {
    const { user, client, events } = setup();
    await client.visit(user, count, ADA);
    const slow = client.arrive(ADA);
    const session = await slow.from(user);
    await client.visit(user, (it) => it.authenticate("ada"), ADA);
    count(session);
    await slow.answer();
    expect(events).toContain("gone:signed-in-anew");
    const seen = await client.visit(user, ({ data, subject }) => [data, subject], ADA);
    expect(seen).toEqual([{ visits: 1 }, "ada"]);
  });

  test("P13: a guest's first write does not get into the session that a sign-in has begun meanwhile", async () => {
    const { user, client, events } = setup();
    const slow = client.arrive(ADA);
    count(await slow.from(user));
    await client.visit(user, (it) => it.authenticate("ada"), ADA);
    await slow.answer();
    expect(events).toContain("gone:signed-in-anew");
    expect(await client.visit(user, ({ data, subject }) => [data, subject], ADA)).toEqual([undefined, "ada"]);
  });

  test("P15: a double-clicked sign-in signs in", async () => {
    for (const first of [true, false]) {
      const { user, client } = setup();
      if (!first) await client.visit(user, count, ADA);
      const [one, two] = [client.arrive(ADA), client.arrive(ADA)];
      for (const click of [one, two]) (await click.from(user)).authenticate("ada");
      await one.answer();
      await two.answer();
      expect(await client.visit(user, ({ subject }) => subject, ADA)).toBe("ada");
    }
  });

  test("P16: the next subject to sign in sees nothing of the one before but what is kept", async () => {
    const { user, client, events } = setup();
    await client.visit(user, (it) => (it.set({ name: "Ada", cart: ["tea"] }), it.authenticate("ada")), ADA);
    await client.visit(user, (it) => it.authenticate("bob", { keep: ["cart"] }), ADA);
    const seen = await client.visit(user, ({ data, subject }) => [data, subject], ADA);
    expect(seen).toEqual([{ cart: ["tea"] }, "bob"]);
    expect(events).toContain("destroyed:other-subject");
    expect(await user.manager.list("ada")).toEqual([]);
    expect(await user.manager.list("bob")).toHaveLength(1);
  });

  test("P16: keys that this server's schema does not know do not go over to the next subject", async () => {
    const it = setup();
    await it.client.visit(
      it.user,
      (session) => (session.set({ name: "Ada", cart: ["x"] }), session.authenticate("ada")),
      ADA,
    );
    const narrow = defineSession({
      name: "user",
      store: it.store,
      clock: it.clock,
      transport: clientCertificate(),
      schema: onlyTheme,
    }) as SessionDefinition<Data>;
    const client = new Browser(narrow);
    await client.visit(narrow, (session) => (session.set({ theme: "dark" }), session.authenticate("bob")), ADA);
    expect(await it.client.visit(it.user, ({ data }) => data ?? {}, ADA)).toEqual({});
  });

  test("P14: destroy() and set() in one request begin anew under the same id", async () => {
    const { user, client } = setup();
    const id = await client.visit(user, (it) => (it.set({ name: "Ada" }), it.authenticate("ada"), it.id), ADA);
    await client.visit(user, (it) => (it.destroy(), it.set({ theme: "dark" })), ADA);
    const seen = await client.visit(user, (it) => [it.id, it.data, it.subject], ADA);
    expect(seen).toEqual([id, { theme: "dark" }, undefined]);
  });

  test("does not come back to life by the write of a request that began before its end, whatever came after", async () => {
    const { user, client, events } = setup();
    await client.visit(user, count, ADA);
    const [slow, slower] = [client.arrive(ADA), client.arrive(ADA)];
    const sessions = [await slow.from(user), await slower.from(user)];
    await client.visit(user, (it) => it.destroy(), ADA);
    count(sessions[0] as Session<Data>);
    await slow.answer();
    expect(await client.visit(user, ({ data }) => data, ADA)).toBeUndefined();
    await client.visit(user, (it) => it.set({ theme: "new" }), ADA);
    count(sessions[1] as Session<Data>);
    await slower.answer();
    expect(await client.visit(user, ({ data }) => data, ADA)).toEqual({ theme: "new" });
    expect(events.filter((event) => event.startsWith("gone"))).toHaveLength(2);
  });

  test("ends by its clocks, and the next request begins another", async () => {
    const { user, client, clock } = setup();
    await client.visit(user, (it) => it.authenticate("ada"), ADA);
    for (let hour = 0; hour < 11; hour++) {
      clock.advance(20 * MINUTE);
      await client.visit(user, () => {}, ADA);
    }
    expect(await client.visit(user, ({ subject }) => subject, ADA)).toBe("ada");
    clock.advance(12 * HOUR);
    expect(await client.visit(user, ({ subject }) => subject, ADA)).toBeUndefined();
    await client.visit(user, count, ADA);
    expect(await client.visit(user, ({ data }) => data, ADA)).toEqual({ visits: 1 });
  });

  test("P9: is never renewed, though it is signed in for long", async () => {
    const { user, client, clock, store } = setup({ idleTimeout: false });
    await client.visit(user, (it) => it.authenticate("ada"), ADA);
    clock.advance(HOUR);
    store.calls.length = 0;
    await client.visit(user, () => {}, ADA);
    expect(store.calls).toEqual(["read"]);
  });

  test("begins anew where the record is garbage, instead of failing for ever", async () => {
    const { user, client, store, clock, events } = setup();
    const id = await client.visit(user, (it) => it.id, ADA);
    const garbage = { version: "v", expiresAt: clock.now() + HOUR, value: "garbage" };
    await store.create(`user/${id}`, garbage, { now: clock.now() });
    expect(await client.visit(user, ({ data }) => data, ADA)).toBeUndefined();
    expect(events).toContain("rejected:corrupt");
    await client.visit(user, count, ADA);
    expect(await client.visit(user, ({ data }) => data, ADA)).toEqual({ visits: 1 });
  });

  test("P18: a first write whose answer was lost is done once", async () => {
    const { user, client, store } = setup();
    const visit = client.arrive(ADA);
    const session = await visit.from(user);
    count(session);
    store.after = (verb) => {
      if (verb !== "create") return;
      store.after = () => undefined;
      throw new Error("the answer is lost");
    };
    await expect(session.commit()).rejects.toThrow("store");
    await visit.answer();
    expect(await client.visit(user, ({ data }) => data, ADA)).toEqual({ visits: 1 });
  });

  test("is not to be had by a token, though all that makes the client known is public", async () => {
    for (const keys of [undefined, KEY]) {
      const extra = keys === undefined ? {} : { keys, acceptUnsigned: true };
      const it = setup({ transport: [cookie(), clientCertificate()], ...extra });
      await it.client.visit(it.user, (session) => session.authenticate("ada"), ADA);
      const { stored } = { stored: await it.client.visit(it.user, ({ id }) => id, ADA) };
      const prefix = lengthPrefixed("identity", "user", "");
      const hash = await sha256(concat(prefix, utf8(ADA.certificate)));
      const secret = await sha256(concat(lengthPrefixed("secret"), hash));
      const guesses = [
        hash,
        concat(hash.subarray(0, 16), secret),
        concat(hash.subarray(0, 16), secret.subarray(0, 16)),
      ];
      expect(stored).toBe(encodeBase64url(hash.subarray(0, 16)));
      for (const guess of [...guesses, concat(hash.subarray(0, 16), secret.subarray(16))]) {
        const cookieHeader = `__Host-Http-user=${encodeBase64url(guess)}`;
        const thief = it.client.arrive({ headers: { cookie: cookieHeader } });
        expect((await thief.from(it.user)).subject).toBeUndefined();
      }
    }
  });

  test("P18: a sign-in whose answer was lost is not done again after the client has signed out elsewhere", async () => {
    const { user, client, store } = setup();
    const visit = client.arrive(ADA);
    const session = await visit.from(user);
    session.authenticate("ada");
    store.after = (verb) => {
      if (verb !== "create") return;
      store.after = () => undefined;
      throw new Error("the answer is lost");
    };
    await expect(session.commit()).rejects.toThrow("store");
    await client.visit(user, (other) => other.destroy(), ADA);
    await visit.answer();
    expect(await client.visit(user, ({ subject, isNew }) => [subject, isNew], ADA)).toEqual([undefined, true]);
  });

  test("P18: a first write over garbage whose answer was lost is done once", async () => {
    const { user, client, store, clock } = setup();
    const id = await client.visit(user, (it) => it.id, ADA);
    await store.create(`user/${id}`, { version: "v", expiresAt: clock.now() + HOUR, value: "garbage" }, { now: 0 });
    const visit = client.arrive(ADA);
    const session = await visit.from(user);
    count(session);
    store.after = (verb) => {
      if (verb !== "update") return;
      store.after = () => undefined;
      throw new Error("the answer is lost");
    };
    await expect(session.commit()).rejects.toThrow("store");
    await visit.answer();
    expect(await client.visit(user, ({ data }) => data, ADA)).toEqual({ visits: 1 });
  });

  test("of two requests that find a record of another shape one begins anew, and the other comes on top", async () => {
    const { user, client, store, clock } = setup();
    const id = await client.visit(user, (it) => it.id, ADA);
    await store.create(`user/${id}`, { version: "v", expiresAt: clock.now() + HOUR, value: "garbage" }, { now: 0 });
    const [one, two] = [client.arrive(ADA), client.arrive(ADA)];
    for (const visit of [one, two]) count(await visit.from(user));
    await Promise.all([one.answer(), two.answer()]);
    expect(await client.visit(user, ({ data }) => data, ADA)).toEqual({ visits: 2 });
  });

  test("goes with keys: there is no token that could be forged", async () => {
    const { user, client } = setup({ keys: KEY });
    await client.visit(user, count, ADA);
    expect(await client.visit(user, ({ data }) => data, ADA)).toEqual({ visits: 1 });
  });
});

describe("every store lets a client begin again after a log-out", () => {
  const folders: string[] = [];
  afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true })));
  const folder = (): string => folders[folders.push(mkdtempSync(join(tmpdir(), "coatcheck-"))) - 1] as string;

  test.each<[string, () => SessionStore]>([
    ["memoryStore", () => memoryStore()],
    ["directoryStore", () => directoryStore(folder())],
    ["sqliteStore", () => sqliteStore(":memory:")],
  ])("%s", async (_name, make) => {
    const { user, client, store } = setup({}, make());
    for (let round = 0; round < 3; round++) {
      await client.visit(user, count, ADA);
      expect(await client.visit(user, ({ data }) => data, ADA)).toEqual({ visits: 1 });
      await client.visit(user, (it) => it.destroy(), ADA);
      expect(await client.visit(user, ({ data }) => data, ADA)).toBeUndefined();
    }
    await store.close?.();
  });
});

test("P12: whatever the order of the store calls, all that was acknowledged is there", async () => {
  const action = fc.constantFrom("count", "key", "sign-in", "read");
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 2, maxLength: 5 }), fc.scheduler(), async (actions, scheduler) => {
      const { clock, user, client, store } = setup({ storeTimeout: "1d" });
      store.before = () => scheduler.schedule(Promise.resolve());
      const expected = { visits: 0, keys: [] as string[] };
      const requests = actions.map(async (kind, index) => {
        const visit = client.arrive(ADA);
        const session = await visit.from(user);
        if (kind === "count") count(session);
        if (kind === "key") session.update((data) => ({ ...data, cart: [...(data?.cart ?? []), `${index}`] }));
        if (kind === "sign-in") session.authenticate("ada");
        const outcome = kind === "read" ? "unchanged" : await session.commit();
        if (outcome === "written" && kind === "count") expected.visits++;
        if (outcome === "written" && kind === "key") expected.keys.push(`${index}`);
        await visit.answer();
      });
      // Those who meet for the third time step aside for a moment, which has to go by.
      const ticking = setInterval(() => clock.advance(100), 0);
      await scheduler.waitFor(Promise.all(requests)).finally(() => clearInterval(ticking));
      store.before = () => undefined;
      const data = await client.visit(user, (session) => session.data, ADA);
      expect(data?.visits ?? 0).toBe(expected.visits);
      expect([...(data?.cart ?? [])].toSorted()).toEqual(expected.keys.toSorted());
    }),
    { numRuns: 500 },
  );
});

const onlyTheme = {
  "~standard": {
    version: 1 as const,
    vendor: "test",
    validate: (value: unknown) => {
      const { theme } = value as { theme?: string };
      return { value: (theme === undefined ? {} : { theme }) as { theme?: string } };
    },
  },
};
