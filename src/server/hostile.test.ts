import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { AUTHORIZED, gate, get, post, raw, shop, started } from "../../test/server-testbed.ts";
import { NO_JSON, NO_JSON_TYPES, NO_REQUESTS, ODD_PATHS, oddLines } from "../../test/hostile-requests.ts";
import { type RawResponse, rawConnection, rawRequest } from "../../test/servers/raw-http.ts";
import type { Endpoint } from "./endpoint.ts";

/** What is refused is an outcome: JSON that says what was wrong, and nothing of what is inside. */
function expectRefused(answer: RawResponse, statuses: readonly number[], what: string): void {
  expect(statuses, `${what}: ${answer.head}`).toContain(answer.status);
  expect(answer.json, what).toMatchObject({ error: expect.stringMatching(/^[a-z-]+$/), message: expect.any(String) });
  expect(answer.head, what).toMatch(/^Cache-Control: no-store$/m);
}

/** Endpoints that must not be asked. */
function guarded(): { readonly asked: string[]; readonly endpoint: Endpoint } {
  const asked: string[] = [];
  return {
    asked,
    endpoint: ({ req }) => {
      asked.push(String(req.url));
      return { status: 200, body: {} };
    },
  };
}

describe("hostile requests of an application that has a credential", () => {
  test("paths that are written in another way: 400 or 404, never another endpoint", async () => {
    const { asked, endpoint } = guarded();
    const { send } = await started({}, { endpoint, stream: endpoint });
    for (const path of ODD_PATHS) {
      const answer = await send(post("{}").replace("/v1/store", path.replaceAll("$", "$$$$")));
      expectRefused(answer, [400, 404, 405], path);
    }
    expect(asked).toEqual([]);
    expect(ODD_PATHS.length).toBeGreaterThan(60);
  });

  test("heads that two readers may take for two things: 400", async () => {
    const { asked, endpoint } = guarded();
    const { send } = await started({}, { endpoint, stream: endpoint });
    for (const line of oddLines(AUTHORIZED)) expectRefused(await send(post("{}", line)), [400], line);
    expect(asked).toEqual([]);
  });

  test("a request line that is none: 400, and the connection is closed", async () => {
    const { port } = await started();
    for (const text of NO_REQUESTS) {
      const connection = await rawConnection({ port });
      connection.write(Buffer.from(text, "latin1"));
      expectRefused(await connection.response(), [400], text);
      await connection.closed;
    }
  });

  test("a head without a Host: 400", async () => {
    const { send } = await started();
    expectRefused(await send(post("{}").replace("Host: localhost\n", "")), [400], "no host");
  });

  test("a request hidden in the body of another one is no request", async () => {
    const { asked, endpoint } = guarded();
    const { port } = await started({}, { endpoint, stream: endpoint });
    const hidden = raw(get("/v1/changes"));
    const connection = await rawConnection({ port });
    connection.write(raw(post(hidden)));
    expect((await connection.response()).status).toBe(200);
    connection.write(raw(get("/v1/nothing")));
    expect((await connection.response()).status).toBe(404);
    connection.socket.destroy();
    expect(asked).toEqual(["/v1/store"]);
  });

  test("bodies that are no JSON of a decent size: 400, 413, 415", async () => {
    const { send, port } = await started();
    for (const text of NO_JSON) {
      expectRefused(await send(post(text)), [400], text);
    }
    const broken = Buffer.concat([
      Buffer.from(raw(post("    "))).subarray(0, -4),
      Buffer.from([0x22, 0xc3, 0x28, 0x22]),
    ]);
    expectRefused(await rawRequest({ port }, broken), [400], "UTF-8");
    for (const type of NO_JSON_TYPES) {
      expectRefused(await send(post("{}").replace("application/json", type)), [415], type);
    }
    expectRefused(await send(post("{}", "Content-Encoding: gzip")), [415], "gzip");
    expect((await send(post("{}").replace("application/json", "Application/JSON; charset=utf-8"))).status).toBe(200);
    expectRefused(await send(post("x".repeat(1001))), [413], "a byte too much");
    expect((await send(post(JSON.stringify("x".repeat(998))))).status).toBe(200);
  });

  test("a body that says how long it is, too long, is not waited for", async () => {
    const { port } = await started();
    const connection = await rawConnection({ port });
    connection.write(raw(post("").replace("Content-Length: 0", "Content-Length: 99999999999")));
    const answer = await connection.response();
    expectRefused(answer, [413], "declared");
    expect(answer.head).toMatch(/^Connection: close$/m);
    await connection.closed;
  });

  test("a body in chunks is cut off where it gets too long; nothing of it stays in memory", async () => {
    const { port } = await started();
    const connection = await rawConnection({ port });
    connection.write(raw(post("").replace("Content-Length: 0", "Transfer-Encoding: chunked")));
    connection.write(`1000\r\n${"x".repeat(0x1000)}\r\n`);
    const answer = await connection.response();
    expectRefused(answer, [413], "in chunks");
    expect(answer.head).toMatch(/^Connection: close$/m);
    await connection.closed;
  });

  test("a refused body of decent length leaves the connection usable", async () => {
    const { port } = await started();
    const connection = await rawConnection({ port });
    connection.write(raw(post("x".repeat(5000))));
    expect((await connection.response()).status).toBe(413);
    connection.write(raw(post("{}")));
    expect((await connection.response()).status).toBe(200);
    connection.socket.destroy();
  });

  test("heads that are too large, or too many: 431", async () => {
    const { send, port } = await started();
    const many = Array.from({ length: 101 }, (_, i) => `X-${i}: y`);
    expectRefused(await send(get("/v1/sessions", ...many)), [431], "too many");
    expect((await send(get("/v1/sessions", ...many.slice(0, 90)))).status).toBe(200);
    expectRefused(await rawRequest({ port }, raw(get("/v1/sessions", `X: ${"y".repeat(17_000)}`))), [431], "too large");
    expectRefused(await rawRequest({ port }, raw(get(`/v1/sessions/${"y".repeat(17_000)}`))), [431], "a long path");
  });

  test("other methods: 405; CONNECT and upgrades get nowhere", async () => {
    const { send, port } = await started();
    for (const method of ["TRACE", "OPTIONS", "PROPFIND", "QUERY", "PATCH", "DELETE"]) {
      const answer = await send(get("/v1/store").replace("GET", method));
      expect(answer.status, method).toBe(405);
    }
    const upgrade = get("/v1/store", "Upgrade: websocket", "Connection: Upgrade");
    expectRefused(await send(upgrade), [405], "upgrade");
    const tunnel = await rawRequest({ port }, "CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n");
    expect(tunnel.status).not.toBe(200);
  });

  test("garbage behind a request that is under way does not answer it", async () => {
    const waiting = gate<void>();
    const { port } = await started({}, { endpoint: () => waiting.promise.then(() => ({ status: 200 })) });
    const connection = await rawConnection({ port });
    connection.write(`${raw(post("{}"))}GARBAGE\r\n\r\n`);
    expect(await connection.response()).toMatchObject({ status: 0 });
    waiting.open();
  });
});

describe("clients that take their time", () => {
  test("a head that does not come to its end: 408, and the connection is closed", async () => {
    const { port, metric } = await started({ headersTimeout: 40 });
    const connection = await rawConnection({ port });
    connection.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ");
    const drip = setInterval(() => connection.write("y"), 10);
    expectRefused(await connection.response(), [408], "slow head");
    await connection.closed;
    clearInterval(drip);
    expect(await metric("coatcheck_malformed_requests_total")).toBe(1);
  });

  test("a body that does not come to its end: 408, and the endpoint is not kept waiting", async () => {
    const refused = gate<unknown>();
    const endpoint: Endpoint = async (call) => {
      await call.body().catch(refused.open);
      return { status: 400, body: {} };
    };
    const { port } = await started({ requestTimeout: 40 }, { endpoint });
    const connection = await rawConnection({ port });
    connection.write(raw(post("{}")).slice(0, -1));
    expectRefused(await connection.response(), [408], "slow body");
    await connection.closed;
    expect(await refused.promise).toMatchObject({ status: 408, code: "too-slow" });
  });

  test("a connection without a request is closed", async () => {
    const { port } = await started({ headersTimeout: 40, keepAliveTimeout: 20 });
    const [silent, idle] = [await rawConnection({ port }), await rawConnection({ port })];
    idle.write(raw(get("/healthz")));
    expect((await idle.response()).status).toBe(200);
    await Promise.all([silent.closed, idle.closed]);
  });

  test("connections beyond the limit are closed at once", async () => {
    const { port, metric } = await started({ maxConnections: 3 });
    const sockets: Socket[] = [];
    for (let i = 0; i < 3; i++) {
      const socket = connect(port);
      await once(socket, "connect");
      sockets.push(socket);
    }
    const another = await rawConnection({ port });
    await another.closed;
    sockets[0]?.destroy();
    await expect.poll(() => metric("coatcheck_connections_dropped_total").catch(() => 0)).toBeGreaterThan(0);
    for (const socket of sockets) socket.destroy();
  });
});

test("an application that asks too fast gets 503 and when to come again, and no other one does", async () => {
  const { send, metric } = await started({ rate: 3 });
  const answers = await Promise.all(Array.from({ length: 10 }, () => send(post("{}"))));
  const refused = answers.filter(({ status }) => status === 503);
  expect(refused.length).toBeGreaterThanOrEqual(5);
  for (const answer of refused) {
    expectRefused(answer, [503], "too fast");
    expect(answer.head).toMatch(/^Retry-After: 1$/m);
  }
  expect(await metric('coatcheck_rate_limited_total{application="shop"}')).toBe(refused.length);
  const other = post("{}").replace(AUTHORIZED, "Authorization: Bearer no");
  expect((await send(other)).status).toBe(401);
  expect(shop.text).not.toBe("");
});

describe("clients that do not wait for answers", () => {
  const one = raw("GET /openapi.json HTTP/1.1\nHost: localhost\n\n");

  test("some requests ahead are answered, each in its turn", async () => {
    const { port } = await started();
    const connection = await rawConnection({ port });
    connection.write(raw(get("/v1/sessions/1")) + raw(get("/v1/sessions/2")).repeat(7) + raw(get("/v1/sessions/3")));
    const paths: unknown[] = [];
    for (let i = 0; i < 9; i++) paths.push(((await connection.response()).json as { path?: unknown }).path);
    expect(paths).toEqual([["1"], ...Array.from({ length: 7 }, () => ["2"]), ["3"]]);
    // Those were answered: others may come.
    connection.write(raw(get("/v1/sessions/4")).repeat(9));
    for (let i = 0; i < 9; i++) expect((await connection.response()).status).toBe(200);
    connection.socket.destroy();
  });

  test("thousands of them, and no answer read: the connection is closed, and no answers are piled up", async () => {
    const asked: string[] = [];
    const { port } = await started({
      mounts: () => [
        {
          kind: "open",
          path: "/openapi.json",
          methods: ["GET"],
          answer: () => {
            asked.push("");
            return { status: 200, body: "x".repeat(30_000) };
          },
        },
      ],
    });
    const connection = await rawConnection({ port });
    connection.socket.pause();
    connection.write(one.repeat(10_000));
    connection.socket.once("error", () => {});
    await expect.poll(() => asked.length).toBeGreaterThan(0);
    connection.socket.resume();
    await connection.closed;
    expect(asked.length).toBeLessThan(20);
  });
});

test("an answer that cannot be written down fails its request, and not the server", async () => {
  let deep: unknown = [];
  for (let i = 0; i < 100_000; i++) deep = [deep];
  const { send, log } = await started({}, { endpoint: async () => ({ status: 200, body: deep }) });
  expect(await send(post("{}"))).toMatchObject({ status: 500, json: { error: "internal" } });
  expect((await send(get("/v1/sessions/a"))).status).toBe(200);
  expect(log.length).toBe(1);
});
