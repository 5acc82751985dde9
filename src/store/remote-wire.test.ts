import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { fetchFrom, type LocalStoreServer, startLocalServer } from "../../test/servers/local-store-server.ts";
import { Browser } from "../../test/testbed.ts";
import { defineSession, type SessionStore } from "../index.ts";
import { isUnreachable } from "../session/breaker.ts";
import { memoryStore } from "./memory.ts";
import { remoteStore, type RemoteFetch, type RemoteRequest } from "./remote.ts";

const NOW = Date.UTC(2026, 0, 1);
const call = { now: NOW };
const record = { version: "v1", expiresAt: NOW + 60_000, value: "{}" };
const HERE = "http://localhost:7420";

const servers: LocalStoreServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function started(store: SessionStore = memoryStore()): Promise<LocalStoreServer> {
  const server = await startLocalServer(store);
  servers.push(server);
  return server;
}

/** What a call rejects with. */
async function failure(of: PromiseLike<unknown> | unknown): Promise<Error & { readonly code?: unknown }> {
  try {
    await of;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not fail");
}

/** A server that says how and when each request is answered. */
function byHand() {
  const requests: (RemoteRequest & {
    readonly calls: readonly { readonly key: string }[];
    answer(body?: unknown, status?: number): void;
    fail(code?: string): void;
  })[] = [];
  const fetch: RemoteFetch = (_url, request) =>
    new Promise((resolve, reject) => {
      const { calls } = JSON.parse(request.body ?? "") as { readonly calls: readonly { readonly key: string }[] };
      request.signal.addEventListener("abort", () => reject(request.signal.reason as Error));
      requests.push({
        ...request,
        calls,
        answer: (body = { answers: calls.map(() => ({ ok: null })) }, status = 200) =>
          resolve(new Response(typeof body === "string" ? body : JSON.stringify(body), { status })),
        fail: (code) => reject(new TypeError("fetch failed", { cause: Object.assign(new Error("why"), { code }) })),
      });
    });
  return { requests, fetch };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const keysOf = (requests: readonly { readonly calls: readonly { readonly key: string }[] }[]): readonly string[] =>
  requests.map(({ calls }) => calls.map(({ key }) => key).join());

describe("remoteStore on the wire", () => {
  test("a request that only reads is one exchange, one that writes two, and one that does neither none", async () => {
    const server = await started();
    const user = defineSession<{ n: number }>({ name: "user", store: remoteStore(server.url) });
    const browser = new Browser(user);
    const exchangesOf = async (visit: () => Promise<unknown>): Promise<number> => {
      const before = server.exchanges.length;
      await visit();
      return server.exchanges.length - before;
    };
    expect(await exchangesOf(() => browser.visit(user, (session) => session.set({ n: 1 })))).toBe(1);
    expect(await exchangesOf(() => browser.visit(user, (session) => session.data))).toBe(1);
    expect(await exchangesOf(() => browser.visit(user, (session) => session.patch({ n: 2 })))).toBe(2);
    expect(await exchangesOf(async () => await browser.arrive().answer())).toBe(0);
  });

  test("64 reads at once are a few exchanges, and connections are kept alive", async () => {
    const server = await started();
    const store = remoteStore(server.url);
    await store.create("user/a", record, call);
    for (let i = 0; i < 20; i++) expect(await store.read("user/a", call)).toEqual(record);
    const one = server.exchanges.length;
    const found = await Promise.all(Array.from({ length: 64 }, () => store.read("user/a", call)));
    expect(found).toEqual(Array.from({ length: 64 }, () => record));
    expect(server.exchanges.slice(one)).toEqual([64]);
    expect(server.connections()).toBeLessThanOrEqual(4);
  });

  test("goes out at once while there is a connection, and what waits travels together", async () => {
    const { requests, fetch } = byHand();
    const store = remoteStore(HERE, { fetch, connections: 2 });
    const reads: unknown[] = [];
    for (const key of ["a", "b", "c", "d"]) {
      reads.push(store.read(key, call));
      await turn();
    }
    expect(keysOf(requests)).toEqual(["a", "b"]);
    requests[0]?.answer();
    await turn();
    expect(keysOf(requests)).toEqual(["a", "b", "c,d"]);
    requests[1]?.answer();
    requests[2]?.answer();
    expect(await Promise.all(reads)).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("what is large does not travel with others, nor do more than the server takes", async () => {
    const { requests, fetch } = byHand();
    const store = remoteStore(HERE, { fetch, connections: 9 });
    const large = { ...record, value: "x".repeat(200_000) };
    for (const key of ["a", "b", "c"]) void store.create(key, large, call);
    for (let i = 0; i < 300; i++) void store.read(`${i}`, call);
    await turn();
    expect(requests.map(({ calls }) => calls.length)).toEqual([1, 1, 256, 45]);
  });

  test("a listing keeps no other call waiting, though all connections are at listings", async () => {
    const { requests, fetch } = byHand();
    const store = remoteStore(HERE, { fetch, connections: 1 });
    void store.count("user/", call);
    void store.list("user/", { limit: 10 }, call);
    void store.read("a", call);
    await turn();
    expect(requests).toHaveLength(2);
  });

  test("where it is, what it says, and what no cache may have", async () => {
    const { requests } = byHand();
    let address = "";
    const store = remoteStore("https://sessions.internal/kept", {
      credential: "abc",
      fetch: async (url, request) => {
        address = url;
        requests.push(request as never);
        return new Response('{"answers":[{"ok":null}]}');
      },
    });
    await store.read("a", call);
    expect(address).toBe("https://sessions.internal/kept/v1/store");
    expect(requests[0]).toMatchObject({
      method: "POST",
      redirect: "manual",
      headers: { Authorization: "Bearer abc", "Content-Type": "application/json" },
    });
  });

  test("a store of its own behind it that has revisions gets them back", async () => {
    const revision = { sequence: 7 };
    let given: unknown;
    const inner: SessionStore = {
      ...memoryStore(),
      read: () => ({ ...record, revision }),
      update: (_key, _record, base) => ((given = base.revision), "ok"),
    };
    const store = remoteStore(HERE, { fetch: fetchFrom(inner) });
    const found = await store.read("a", call);
    expect(await store.update("a", record, found!, call)).toBe("ok");
    expect(given).toEqual(revision);
  });

  test("a text that is too long is the caller's mistake, and spoils no other call", async () => {
    const store = remoteStore(HERE, { fetch: fetchFrom(memoryStore()) });
    const [bad, good] = await Promise.allSettled([
      store.create("x".repeat(4_097), record, call),
      store.create("a", record, call),
    ]);
    expect(bad).toMatchObject({ status: "rejected", reason: expect.any(TypeError) });
    expect(good).toEqual({ status: "fulfilled", value: true });
  });
});

describe("an abort", () => {
  test("is honoured at once; what was not sent is not sent", async () => {
    const { requests, fetch } = byHand();
    const store = remoteStore(HERE, { fetch, connections: 1 });
    const [first, second] = [new AbortController(), new AbortController()];
    const reason = new Error("nobody waits");
    void store.read("a", call);
    await turn();
    const waiting = failure(store.read("b", { ...call, signal: second.signal }));
    void store.read("c", call);
    second.abort(reason);
    expect(await waiting).toBe(reason);
    first.abort(reason);
    expect(await failure(store.read("d", { ...call, signal: first.signal }))).toBe(reason);
    requests[0]?.answer();
    await turn();
    expect(keysOf(requests)).toEqual(["a", "c"]);
  });

  test("breaks an exchange off when nobody waits for it any more, and not before", async () => {
    const { requests, fetch } = byHand();
    const store = remoteStore(HERE, { fetch, connections: 1 });
    const aborts = [new AbortController(), new AbortController()];
    const reads = aborts.map(({ signal }, i) => failure(store.read(`${i}`, { ...call, signal })));
    await turn();
    aborts[0]!.abort();
    await turn();
    expect(requests[0]?.signal.aborted).toBe(false);
    aborts[1]!.abort();
    expect(requests[0]?.signal.aborted).toBe(true);
    expect((await Promise.all(reads)).map(({ name }) => name)).toEqual(["AbortError", "AbortError"]);
    const next = store.read("next", call);
    await turn();
    requests[1]?.answer();
    expect(await next).toBeUndefined();
  });

  test("frees the connection of a fetch that does not listen", async () => {
    const sent: string[] = [];
    const store = remoteStore(HERE, {
      connections: 1,
      fetch: async (_url, { body = "" }) => {
        sent.push(body);
        return await (sent.length === 1 ? new Promise<never>(() => {}) : new Response('{"answers":[{"ok":null}]}'));
      },
    });
    const abort = new AbortController();
    const hanging = failure(store.read("a", { ...call, signal: abort.signal }));
    await turn();
    abort.abort();
    await hanging;
    expect(await store.read("b", call)).toBeUndefined();
  });
});

describe("a connection that breaks", () => {
  test("reads have another try, once; writes have none", async () => {
    const { requests, fetch } = byHand();
    const store = remoteStore(HERE, { fetch, connections: 1 });
    const first = store.read("first", call);
    await turn();
    requests[0]?.answer();
    await first;
    const reads = ["a", "b"].map((key) => failure(store.read(key, call)));
    const writes = [
      store.create("c", record, call),
      store.update("c", record, record, call),
      store.touch("c", NOW, call),
      store.delete("c", call),
    ].map(failure);
    await turn();
    requests[1]?.fail("UND_ERR_SOCKET");
    for (const error of await Promise.all(writes)) expect(error.message).toMatch(/no answer from .*UND_ERR_SOCKET/);
    await turn();
    expect(keysOf(requests.slice(1))).toEqual(["a,b,c,c,c,c", "a,b"]);
    requests[2]?.fail("UND_ERR_SOCKET");
    for (const error of await Promise.all(reads)) expect(isUnreachable(error)).toBe(true);
    await turn();
    expect(requests).toHaveLength(3);
  });

  test("a server that was never there, or takes no connection, is not asked twice", async () => {
    const { requests, fetch } = byHand();
    const store = remoteStore(HERE, { fetch });
    const first = failure(store.read("a", call));
    await turn();
    requests[0]?.fail("ECONNRESET");
    await first;
    const second = store.read("a", call);
    await turn();
    requests[1]?.answer();
    await second;
    const third = failure(store.read("a", call));
    await turn();
    requests[2]?.fail("ECONNREFUSED");
    expect((await third).message).toMatch(/see that the session server runs there/);
    expect(requests).toHaveLength(3);
  });

  test("over a real connection that the server cuts, a read is answered all the same", async () => {
    const server = await started();
    const store = remoteStore(server.url);
    await store.create("a", record, call);
    let cuts = 0;
    server.before = (req) => (cuts++ === 0 ? (req.socket.destroy(), true) : false);
    expect(await store.read("a", call)).toEqual(record);
    cuts = 0;
    expect((await failure(store.touch("a", NOW + 90_000, call))).message).toMatch(/no answer from http:\/\/127/);
    expect(server.exchanges).toEqual([1, 1, 1, 1]);
  });
});

describe("its errors say what to do", () => {
  const answered = async (body: unknown, status = 200): Promise<Error & { readonly code?: unknown }> => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const store = remoteStore(HERE, { credential: "c0ffee", fetch: async () => new Response(text, { status }) });
    const error = await failure(store.read("user/secret-id", call));
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/c0ffee|secret-id/);
    return error;
  };

  test.each([
    [401, { error: "unauthorized" }, /does not accept the credential \(401\)/, false],
    [403, { error: "not-here" }, /refuses this client \(403\)/, false],
    [413, { error: "too-large" }, /larger than .* takes \(413\)/, false],
    [400, { error: "bad-call" }, /does not understand this client \(400 bad-call\)/, false],
    [503, { error: "too-many" }, /cannot answer now \(503 too-many\)/, true],
    [502, "<html>", /cannot answer now \(502\)/, true],
    [404, "<html>Not Found", /is not a session server: it answered 404/, false],
    [302, "", /is not a session server: it answered 302/, false],
    [400, "<html>", /is not a session server: it answered 400/, false],
    [200, "<html>Welcome", /is not a session server: its answer is none/, false],
    [200, { answers: [] }, /is not a session server: its answer is none/, false],
    [200, { answers: [null] }, /an answer that is none/, false],
    [200, { answers: [{}] }, /an answer that is none/, false],
    [200, { answers: [{ ok: true }] }, /the record: expected an object/, false],
    [200, { answers: [{ ok: { version: 1 } }] }, /version: expected a text/, false],
    [200, { answers: [{ error: "store-unavailable", message: "x" }] }, /the log of the server says why/, false],
    [200, { answers: [{ error: "store-unavailable", timedOut: true }] }, /did not answer in time/, true],
    [200, { answers: [{ error: "not-capable" }] }, /has no read/, false],
  ] as const)("%i %j", async (status, body, message, isAway) => {
    const error = await answered(body, status);
    expect(error.message).toMatch(message);
    expect(isUnreachable(error)).toBe(isAway);
  });

  test("too much at once is sent one by one: of that nothing was done", async () => {
    const sent: number[] = [];
    const inner = fetchFrom(memoryStore());
    const store = remoteStore(HERE, {
      fetch: async (url, request) => {
        const { calls } = JSON.parse(request.body ?? "") as { readonly calls: readonly { readonly key: string }[] };
        sent.push(calls.length);
        const isTooMuch = calls.length > 1 || calls[0]?.key === "large";
        return isTooMuch ? new Response('{"error":"too-large"}', { status: 413 }) : await inner(url, request);
      },
    });
    const [a, large, b] = await Promise.allSettled(["a", "large", "b"].map((key) => store.create(key, record, call)));
    expect([a, b]).toEqual([
      { status: "fulfilled", value: true },
      { status: "fulfilled", value: true },
    ]);
    expect(large).toMatchObject({ status: "rejected", reason: { message: expect.stringMatching(/keep less in it/) } });
    expect(sent).toEqual([3, 1, 1, 1]);
  });

  test("a closed store says so, and closing it again does no harm", async () => {
    const store = remoteStore(HERE, { fetch: fetchFrom(memoryStore()) });
    await store.close();
    await store.close();
    expect((await failure(store.read("a", call))).message).toBe("remoteStore: the store was closed");
  });
});

describe("options", () => {
  const CREDENTIAL = "c0ffeec0ffee";

  test.each([
    ["", /url: expected the address/],
    ["sessions.internal:7420", /url: expected the address/],
    ["ftp://sessions.internal", /url: expected the address/],
    [undefined, /url: expected the address/],
    [`https://shop:${CREDENTIAL}@sessions.internal`, /give the credential as the option/],
    [`https://${CREDENTIAL}@sessions.internal`, /give the credential as the option/],
    [`https://sessions.internal/?credential=${CREDENTIAL}`, /without \? and #/],
    [`https://sessions.internal/#${CREDENTIAL}`, /without \? and #/],
    ["http://sessions.internal", /allowInsecure: true/],
    ["http://10.0.0.1", /allowInsecure/],
    ["http://localhost.example", /allowInsecure/],
    ["http://127.0.0.1.example", /allowInsecure/],
    ["http://[::2]", /allowInsecure/],
  ])("refuses the address %s", (url, message) => {
    expect(() => remoteStore(url as string)).toThrow(TypeError);
    expect(() => remoteStore(url as string)).toThrow(message);
    expect(() => remoteStore(url as string)).not.toThrow(CREDENTIAL);
  });

  test.each([
    "http://localhost:1",
    "http://a.localhost",
    "http://127.1.2.3",
    "http://[::1]:7420",
    "https://a.example/x",
  ])("takes the address %s", (url) => {
    expect(remoteStore(url).name).toBe("remoteStore");
    expect(remoteStore(new URL(url)).name).toBe("remoteStore");
  });

  test.each([
    [{ credential: "" }, /^credential:/],
    [{ credential: `${CREDENTIAL}\r\nX: y` }, /^credential:/],
    [{ credential: 7 }, /^credential:/],
    [{ connections: 0 }, /^connections:/],
    [{ connections: 1.5 }, /^connections:/],
    [{ allowInsecure: "yes" }, /^allowInsecure:/],
    [{ fetch: {} }, /^fetch:/],
    [{ token: "x" }, /token is not an option of remoteStore/],
    [null, /takes an object of options/],
  ])("refuses %j", (options, message) => {
    expect(() => remoteStore(HERE, options as never)).toThrow(message);
    expect(() => remoteStore(HERE, options as never)).not.toThrow(CREDENTIAL);
  });

  test("http: to another machine goes by name", () => {
    expect(remoteStore("http://10.0.0.1", { allowInsecure: true }).name).toBe("remoteStore");
  });

  test("the store shows no credential", () => {
    const store = remoteStore(HERE, { credential: CREDENTIAL });
    expect(inspect(store, { depth: 9, showHidden: true })).not.toContain(CREDENTIAL);
    expect(JSON.stringify(store)).not.toContain(CREDENTIAL);
  });
});
