import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { type LocalStoreServer, startLocalServer } from "../../test/servers/local-store-server.ts";
import { memoryStore } from "./memory.ts";
import { remoteStore } from "./remote.ts";

const NOW = Date.UTC(2026, 0, 1);
const call = { now: NOW };
const record = { version: "v1", expiresAt: NOW + 60_000, value: "é\ud83d\ude00" };

const servers: LocalStoreServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function started(): Promise<LocalStoreServer> {
  const server = await startLocalServer(memoryStore());
  servers.push(server);
  return server;
}

test("any text gets there and back over one connection", async () => {
  const server = await started();
  const store = remoteStore(server.url);
  expect(await store.create("user/é", record, call)).toBe(true);
  const large = { ...record, value: "é".repeat(500_000) };
  expect(await store.update("user/é", large, record, call)).toBe("ok");
  expect(await store.read("user/é", call)).toEqual(large);
  expect(server.connections()).toBe(1);
  await store.close();
});

test("a closed store lets its connections go, those in use when they are answered", async () => {
  const server = await started();
  const store = remoteStore(server.url);
  await store.create("user/1", record, call);
  const gone: Promise<unknown>[] = [];
  server.before = ({ socket }) => {
    gone.push(new Promise((resolve) => socket.once("close", resolve)));
    return false;
  };
  const reading = store.read("user/1", call);
  await new Promise((resolve) => setImmediate(resolve));
  await store.close();
  expect(await reading).toEqual(record);
  await Promise.all(gone);
  expect(gone).toHaveLength(1);
});

test("an abort ends the request, and the connection with it", async () => {
  const server = await started();
  const store = remoteStore(server.url);
  const abort = new AbortController();
  const closed = new Promise((resolve) => {
    server.before = ({ socket }) => {
      socket.once("close", resolve);
      abort.abort(new Error("enough"));
      return true;
    };
  });
  const reading = Promise.resolve(store.read("user/1", { ...call, signal: abort.signal }));
  const failed = reading.catch((error: unknown) => error);
  await closed;
  expect(await failed).toMatchObject({ message: "enough" });
});

test("an idle store keeps no process alive", async () => {
  const server = await started();
  const remote = new URL("remote.ts", import.meta.url).href;
  const script = `const { remoteStore } = await import(${JSON.stringify(remote)});
    console.log(await remoteStore(${JSON.stringify(server.url)}).count("", { now: 0 }));`;
  const ran = promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { timeout: 20_000 });
  expect((await ran).stdout).toBe("0\n");
});

test("tls goes with https: and without a fetch of your own", () => {
  const tls = { ca: "pem" };
  const fetch = async () => new Response("");
  expect(() => remoteStore("http://localhost:1", { tls })).toThrow(/^tls: the address begins with http:/);
  expect(() => remoteStore("https://localhost:1", { tls, fetch })).toThrow(/^tls: a fetch of your own/);
  expect(() => remoteStore("https://localhost:1", { tls: { cert: "x" } as never })).toThrow(TypeError);
});
