/** A session server that is killed while 16 writers write, and its engine with it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { remoteStore, type RemoteStore } from "../../src/store/remote.ts";
import type { StoredRecord } from "../../src/store/store.ts";
import { describeWithServers } from "../servers/require.ts";
import { startSessionServer, type TestSessionServer } from "../servers/session-server.ts";
import { STORE_ENGINES, type StoreEngine } from "../servers/store-engines.ts";

const WRITERS = 16;
/** Writes that are acknowledged before the server is killed. */
const BEFORE = 400;
const UPDATES = 5;

/** What a writer knows of one record: how far it was acknowledged, and how far it may have come. */
interface Known {
  readonly key: string;
  acknowledged: number;
  tried: number;
}

/** Every part of it says how often it was written, so that half of a write would be seen. */
function recordOf(subject: string, n: number): StoredRecord {
  const value = JSON.stringify({ n, text: `${n},`.repeat(500) });
  return { version: `v${n}`, expiresAt: Date.now() + 600_000 + n, subject, value };
}

function timesWritten({ version, value }: StoredRecord): number {
  const { n, text } = JSON.parse(value) as { readonly n: number; readonly text: string };
  expect({ version, text }).toEqual({ version: `v${n}`, text: `${n},`.repeat(500) });
  return n;
}

/** Creates records and updates them until a call fails; returns why. */
async function write(store: RemoteStore, subject: string, known: Known[], acknowledged: () => void): Promise<unknown> {
  for (let i = 0; ; i++) {
    const record: Known = { key: `${subject}/${i}`, acknowledged: -1, tried: 0 };
    known.push(record);
    const call = { now: Date.now() };
    try {
      if (!(await store.create(record.key, recordOf(subject, 0), call))) return "the key was taken";
      record.acknowledged = 0;
      acknowledged();
      for (let n = 1; n <= UPDATES; n++) {
        record.tried = n;
        const outcome = await store.update(record.key, recordOf(subject, n), recordOf(subject, n - 1), call);
        if (outcome !== "ok") return outcome;
        record.acknowledged = n;
        acknowledged();
      }
    } catch (error) {
      return error;
    }
  }
}

async function check(store: RemoteStore, subject: string, known: readonly Known[]): Promise<void> {
  const call = { now: Date.now() };
  const found = await Promise.all(known.map(async ({ key }) => await store.read(key, call)));
  const listed: string[] = [];
  for await (const { key } of store.listBySubject(subject, call)) listed.push(key);
  for (const [i, { key, acknowledged, tried }] of known.entries()) {
    const record = found[i];
    const written = record === undefined ? -1 : timesWritten(record);
    expect(written, `${key}, of which ${acknowledged} was acknowledged`).toBeGreaterThanOrEqual(acknowledged);
    expect(written, `${key}, of which ${tried} was tried`).toBeLessThanOrEqual(tried);
    if (record !== undefined) expect(listed).toContain(key);
  }
}

for (const [name, { programs, start }] of Object.entries(STORE_ENGINES)) {
  describeWithServers(`on ${name}`, programs, () => {
    let engine: StoreEngine;
    let server: TestSessionServer;
    beforeAll(async () => {
      engine = await start();
      server = await startSessionServer({ args: engine.args, credentials: [{ application: "shop" }] });
    });
    afterAll(async () => {
      await server?.stop();
      await engine?.stop();
    });

    test(`${WRITERS} writers, and the server is killed: what was acknowledged is there, whole, and the same store goes on`, async () => {
      const store = remoteStore(server.url, { credential: server.credentials["shop"] });
      const subjects = Array.from({ length: WRITERS }, (_, i) => `writer/${i}`);
      const known = new Map(subjects.map((subject) => [subject, [] as Known[]]));
      let done = 0;
      let kill: Promise<unknown> | undefined;
      const acknowledged = (): void => {
        // At the same moment: what the engine has not acknowledged by then the server must not have acknowledged.
        if (++done === BEFORE) kill = Promise.all([engine.crash(), server.kill()]);
      };
      const reasons = await Promise.all(
        subjects.map((subject) => write(store, subject, known.get(subject)!, acknowledged)),
      );
      for (const reason of reasons)
        expect(String(reason)).toMatch(/no answer from|the store behind the session server/);
      await kill;
      await expect(store.read("writer/0/0", { now: Date.now() })).rejects.toThrow("ECONNREFUSED");
      await server.restart();
      for (const [subject, records] of known) await check(store, subject, records);
      expect(await store.create("after", recordOf("after", 0), { now: Date.now() })).toBe(true);
      expect(await store.read("after", { now: Date.now() })).toMatchObject({ version: "v0" });
    });
  });
}
