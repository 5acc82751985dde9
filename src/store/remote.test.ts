import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithServers } from "../../test/servers/require.ts";
import { startSessionServer, type TestSessionServer } from "../../test/servers/session-server.ts";
import { STORE_ENGINES, type StoreEngine } from "../../test/servers/store-engines.ts";
import { storeCases } from "../testing/store-cases.ts";
import { remoteStore } from "./remote.ts";

/** Each case is an application of its own. */
const applications = storeCases.map((_, i) => ({ application: `case-${i}` }));

/** One of the kit's records is of two megabytes. */
const LARGE = ["--max-body", "8mb"];

for (const [name, { programs, start }] of Object.entries(STORE_ENGINES)) {
  describeWithServers(`a session server on ${name} passes the kit`, programs, () => {
    let engine: StoreEngine;
    let server: TestSessionServer;
    beforeAll(async () => {
      engine = await start();
      server = await startSessionServer({ args: [...engine.args, ...LARGE], credentials: applications });
    });
    afterAll(async () => {
      await server?.stop();
      await engine?.stop();
    });

    for (const [i, { name: promise, run }] of storeCases.entries()) {
      test(promise, () =>
        run(() => remoteStore(server.url, { credential: server.credentials[`case-${i}`], watch: true })),
      );
    }
  });
}

test("a server without credentials takes the machine's own calls, and one with them takes no others", async () => {
  const [open, closed] = await Promise.all([
    startSessionServer(),
    startSessionServer({ credentials: [{ application: "shop" }] }),
  ]);
  const call = { now: Date.now() };
  const record = { version: "1", expiresAt: call.now + 60_000, value: "{}" };
  try {
    expect(await remoteStore(open.url).create("user/a", record, call)).toBe(true);
    for (const credential of [undefined, "c0ffee", `${closed.credentials["shop"]}x`]) {
      await expect(remoteStore(closed.url, { credential }).read("user/a", call)).rejects.toThrow(
        "does not accept the credential (401)",
      );
    }
    const mine = remoteStore(closed.url, { credential: closed.credentials["shop"] });
    expect(await mine.create("user/a", record, call)).toBe(true);
    const large = mine.create("user/b", { ...record, value: "x".repeat(2_000_000) }, call);
    await expect(large).rejects.toThrow("larger than");
    expect(await mine.read("user/a", call)).toEqual(record);
  } finally {
    await Promise.all([open.stop(), closed.stop()]);
  }
});
