import { writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { certificates } from "../../test/servers/certificates.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { startSessionServer, type TestSessionServer } from "../../test/servers/session-server.ts";
import { serverDirectory } from "../../test/servers/server-process.ts";
import { STORE_ENGINES, type StoreEngine } from "../../test/servers/store-engines.ts";
import { storeCases } from "../testing/store-cases.ts";
import { isUnreachable } from "../session/breaker.ts";
import { remoteStore, type RemoteFetch } from "./remote.ts";

/** Each case is an application of its own. */
const applications = storeCases.map((_, i) => ({ application: `case-${i}` }));

// Each store has a server and each case a namespace of its own: they wait for each other nowhere.
describe.concurrent("the kit", () => {
  for (const [name, { programs, start }] of Object.entries(STORE_ENGINES)) {
    describeWithServers(`a session server on ${name} passes the kit`, programs, () => {
      let engine: StoreEngine;
      let server: TestSessionServer;
      beforeAll(async () => {
        engine = await start();
        server = await startSessionServer({ args: engine.args, credentials: applications });
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
});

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
    // Those take so long to send that the answer is there before.
    for (const bytes of [5_000_000, 7_000_000, 9_000_000]) {
      const large = mine.create("user/b", { ...record, value: "x".repeat(bytes) }, call);
      await expect(large).rejects.toThrow("larger than");
    }
    expect(await mine.read("user/a", call)).toEqual(record);
  } finally {
    await Promise.all([open.stop(), closed.stop()]);
  }
});

test("over TLS: a certificate that nobody vouches for is refused, and a fetch that knows it takes it", async () => {
  const { ca, server: pair } = certificates();
  const directory = serverDirectory("session-server-tls");
  const [cert, key] = [join(directory, "tls.pem"), join(directory, "tls.key")];
  writeFileSync(cert, pair.cert);
  writeFileSync(key, pair.key);
  const server = await startSessionServer({ directory, args: ["--tls-cert", cert, "--tls-key", key] });
  // It names no host.
  const agent = new Agent({ keepAlive: true, ca: ca.cert, checkServerIdentity: () => undefined });
  const overAgent: RemoteFetch = (url, { method, headers, body, signal }) =>
    new Promise((resolve, reject) => {
      const sent = request(url, { method, headers, signal, agent }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part) => (text += String(part)));
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text: async () => text }));
        answer.on("error", reject);
      });
      sent.on("error", reject).end(body);
    });
  const call = { now: Date.now() };
  try {
    expect(server.url).toMatch(/^https:/);
    const counted = Promise.resolve(remoteStore(server.url).count("", call));
    const error: unknown = await counted.catch((thrown: unknown) => thrown);
    expect(String(error)).toMatch(/no answer from https:.*\((?:UNABLE_TO_VERIFY|DEPTH_ZERO|SELF_SIGNED|ERR_TLS)\w*\)/);
    expect(String(error)).toContain("tls: { ca }");
    const trusting = remoteStore(server.url, { tls: { ca: ca.cert } });
    const other: unknown = await Promise.resolve(trusting.count("", call)).catch((thrown: unknown) => thrown);
    // That it is vouched for is not all: it must be of this host.
    expect(String(other)).toContain("ERR_TLS_CERT_ALTNAME_INVALID");
    // It is there: to ask again and again is of no use.
    expect(isUnreachable(error)).toBe(false);
    const store = remoteStore(server.url, { fetch: overAgent });
    expect(await store.create("user/a", { version: "1", expiresAt: call.now + 60_000, value: "\ud800" }, call)).toBe(
      true,
    );
    expect(await store.read("user/a", call)).toMatchObject({ value: "\ud800" });
    const abort = new AbortController();
    const aborted = store.read("user/a", { ...call, signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(aborted).rejects.toThrow("enough");
  } finally {
    agent.destroy();
    await server.stop();
  }
});
