import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { AUTHORIZED, blog, get, post, raw, SETTINGS, shop, started } from "../../test/server-testbed.ts";
import { rawConnection } from "../../test/servers/raw-http.ts";
import { memoryStore } from "../store/memory.ts";
import type { SessionStore } from "../store/store.ts";
import { newCredential } from "./credentials.ts";
import { type Endpoint, Refusal } from "./endpoint.ts";
import { serverOver } from "./server-over.ts";

describe("a request of an application", () => {
  test("gets to the endpoint, with its body, path, query and caller", async () => {
    const { send } = await started();
    const answer = await send(post('{"a":1}'));
    expect(answer).toMatchObject({ status: 200, json: { by: "shop", body: { a: 1 } } });
    expect(answer.head).toMatch(/^Cache-Control: no-store$/m);
    expect(answer.head).toMatch(/^Content-Type: application\/json$/m);
    expect((await send(get("/v1/sessions/user/a%20b?x=1&x=2"))).json).toEqual({
      path: ["user", "a b"],
      query: [
        ["x", "1"],
        ["x", "2"],
      ],
    });
    expect((await send(get("/v1/nothing"))).json).toMatchObject({ error: "no-such-path" });
  });

  test("may come in chunks, without a body, or by Expect: 100-continue", async () => {
    const { send, port } = await started();
    const chunked = post("").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    expect((await send(`${chunked}3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n`)).json).toMatchObject({ body: [1, 2] });
    expect((await send(post(""))).json).toMatchObject({ body: null });
    const connection = await rawConnection({ port });
    connection.write(raw(post("[3]", "Expect: 100-continue")).slice(0, -3));
    expect((await connection.response()).status).toBe(100);
    connection.write("[3]");
    expect((await connection.response()).json).toMatchObject({ body: [3] });
    connection.write(raw(post("x".repeat(2000), "Expect: 100-continue")).slice(0, -2000));
    expect((await connection.response()).status).toBe(413);
    connection.socket.destroy();
  });

  test("with another method is told which ones there are", async () => {
    const { send } = await started();
    const answer = await send(get("/v1/store"));
    expect(answer).toMatchObject({ status: 405, json: { error: "method-not-allowed" } });
    expect(answer.head).toMatch(/^Allow: POST$/m);
    expect((await send(get("/v1/sessions").replace("GET", "DELETE"))).head).toMatch(/^Allow: GET, PUT$/m);
    expect((await send(get("/healthz").replace("GET", "POST"))).head).toMatch(/^Allow: GET, HEAD$/m);
  });

  test("that an endpoint fails is 500, and the log has it; that the store failed is 503", async () => {
    const failing = await started({}, { endpoint: () => Promise.reject(new Error("a bug")) });
    expect(await failing.send(post("{}"))).toMatchObject({ status: 500, json: { error: "internal" } });
    expect(failing.log.join()).toContain("a bug");
    const read = (): never => {
      throw new Error("gone");
    };
    const store: SessionStore = { ...memoryStore(), read };
    const away = await started({ store }, { endpoint: asksStore });
    expect(await away.send(post("{}"))).toMatchObject({ status: 503, json: { error: "store-unavailable" } });
    expect(await away.send("GET /readyz HTTP/1.1\nHost: localhost\n\n")).toMatchObject({ status: 503 });
    expect(await away.metric("coatcheck_store_failures_total")).toBe(2);
    expect(away.log).toHaveLength(1);
  });

  test("is over when the client goes: the signal tells whoever has asked for it", async () => {
    const desk = new EventTarget();
    const asked = once(desk, "asked");
    const aborted = once(desk, "aborted");
    const endpoint: Endpoint = async ({ signal }) => {
      signal.addEventListener("abort", () => desk.dispatchEvent(new Event("aborted")));
      desk.dispatchEvent(new Event("asked"));
      await aborted;
      return { status: 200 };
    };
    const { port, metric } = await started({}, { endpoint });
    const connection = await rawConnection({ port });
    connection.write(raw(post("{}")));
    await asked;
    connection.socket.destroy();
    await aborted;
    await expect.poll(() => metric("coatcheck_requests_under_way")).toBe(1);
  });

  test("that takes too long is told so", async () => {
    const endpoint: Endpoint = async (call) => {
      await once(call.signal, "abort");
      throw new Refusal(503, "too-long", "Took too long.");
    };
    const { send } = await started({ requestTimeout: 30 }, { endpoint });
    expect((await send(post("{}"))).json).toMatchObject({ error: "too-long" });
  });
});

const asksStore: Endpoint = async ({ caller }) => {
  try {
    return { status: 200, body: (await caller.store.read("key", { now: 0 })) ?? null };
  } catch {
    throw new Refusal(503, "store-unavailable", "The store does not answer.");
  }
};

describe("who has no credential", () => {
  test("gets one and the same answer, whatever was wrong, whatever is there", async () => {
    const { send } = await started();
    const texts = ["", `Authorization: Bearer ${newCredential("shop", "shop").text}`, "Authorization: Basic c2hvcDo="];
    const answers = await Promise.all(
      ["/v1/store", "/v1/nothing", "/v1/sessions/user/current"].flatMap((path) =>
        texts.map((line) => send(`GET ${path} HTTP/1.1\nHost: localhost\n${line}`.trimEnd() + "\n\n")),
      ),
    );
    for (const { status, head, json } of answers) {
      expect(status).toBe(401);
      expect(head).toMatch(/^WWW-Authenticate: Bearer$/m);
      expect(json).toMatchObject({ error: "unauthorized" });
    }
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
  });

  test("is held up when that happens too often; who has one is not", async () => {
    const { port, metric, send } = await started();
    const connection = await rawConnection({ port });
    const wrong = raw("GET /v1/store HTTP/1.1\nHost: localhost\nAuthorization: Bearer no\n\n");
    const statuses = new Map<number, number>();
    for (let i = 0; i < 200 && !statuses.has(503); i++) {
      connection.write(wrong);
      const { status } = await connection.response();
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    await connection.closed;
    expect(statuses.get(401)).toBeGreaterThanOrEqual(100);
    expect((await send(post("{}"))).status).toBe(200);
    expect(await metric("coatcheck_credentials_refused_total")).toBeGreaterThan(100);
  });

  test("is out from the request after it was removed; a list that is none changes nothing", async () => {
    const { server, send } = await started();
    expect((await send(post("{}"))).status).toBe(200);
    expect(() => server.setCredentials([shop.credential, shop.credential])).toThrow(TypeError);
    expect((await send(post("{}"))).status).toBe(200);
    server.setCredentials([blog.credential]);
    expect((await send(post("{}"))).status).toBe(401);
    expect((await send(post("{}").replace(shop.text, blog.text))).json).toMatchObject({ by: "blog" });
  });

  test("hears no more of changes once it was removed, and others go on hearing", async () => {
    const hearing: string[] = [];
    const stream: Endpoint = ({ caller, res, signal }) => {
      res.writeHead(200).flushHeaders();
      hearing.push(caller.application);
      signal.addEventListener("abort", () => {
        hearing.splice(hearing.indexOf(caller.application), 1);
        res.end();
      });
      return undefined;
    };
    const { server, port } = await started({}, { stream });
    const [first, second] = [await rawConnection({ port }), await rawConnection({ port })];
    first.write(raw(get("/v1/changes")));
    second.write(raw(get("/v1/changes").replace(shop.text, blog.text)));
    await expect.poll(() => hearing.toSorted()).toEqual(["blog", "shop"]);
    server.setCredentials([blog.credential]);
    expect(hearing).toEqual(["blog"]);
    const moved = newCredential("blog", "news");
    server.setCredentials([{ ...moved.credential, sha256: blog.credential.sha256 }]);
    expect(hearing).toEqual([]);
    first.socket.destroy();
    second.socket.destroy();
  });

  test("still sees health, readiness and metrics, and what a proxy asks", async () => {
    const { send } = await started();
    const open = (path: string) => send(`GET ${path} HTTP/1.1\nHost: 10.1.2.3\n\n`);
    expect(await open("/healthz")).toMatchObject({ status: 200, json: { status: "ok" } });
    expect(await open("/readyz")).toMatchObject({ status: 200, json: { status: "ready" } });
    expect((await open("/metrics")).body).toMatch(/^coatcheck_connections \d+$/m);
    expect(await open("/forward-auth/shop/user//x/../%2f?y")).toMatchObject({ status: 200 });
    // HAProxy's simplest check is HTTP/1.0, and has no Host.
    expect((await send("GET /healthz HTTP/1.0\n\n")).status).toBe(200);
  });

  test("sees no metrics where they are for applications, and nobody does where they are off", async () => {
    const some = await started({ metrics: "credential" });
    expect((await some.send("GET /metrics HTTP/1.1\nHost: localhost\n\n")).status).toBe(401);
    expect((await some.send(get("/metrics"))).body).toContain("coatcheck_requests_total");
    const none = await started({ metrics: "off" });
    expect((await none.send(get("/metrics"))).status).toBe(404);
  });
});

describe("without credentials", () => {
  test("this machine is one application, by whatever name it calls itself", async () => {
    const { send } = await started({ credentials: undefined });
    const hosts = ["localhost", "LOCALHOST:1", "127.0.0.1:80", "127.1.2.3", "[::1]:80", "[::ffff:127.0.0.1]"];
    for (const host of hosts) {
      const answer = await send(post("{}").replace("localhost", host).replace(AUTHORIZED, "A: b"));
      expect(answer.json, host).toMatchObject({ by: "default" });
    }
  });

  test("a page in a browser gets nothing", async () => {
    const { send } = await started({ credentials: undefined });
    const lines = [
      "Origin: http://localhost",
      "Origin: null",
      "Sec-Fetch-Site: cross-site",
      "Sec-Fetch-Site: same-origin",
    ];
    for (const line of lines) {
      for (const text of [post("{}", line), get("/metrics", line), get("/readyz", line)]) {
        expect(await send(text), line).toMatchObject({ status: 403, json: { error: "from-a-page" } });
      }
    }
    const hosts = [
      "evil.example",
      "evil.example:26282",
      "localhost.evil.example",
      "10.0.0.1",
      "[::2]",
      "127.0.0.1@evil",
      "",
    ];
    for (const host of hosts) {
      const answer = await send(post("{}").replace("localhost", host));
      expect(answer, host).toMatchObject({ status: 403, json: { error: "wrong-host" } });
    }
    expect((await send(get("/v1/sessions", "Sec-Fetch-Site: none"))).status).toBe(200);
    expect((await send(get("/forward-auth/shop/user", "Origin: http://shop"))).status).toBe(200);
  });

  test("nobody else can be reached, nor made to be", async () => {
    const server = serverOver({ ...SETTINGS, credentials: undefined });
    await expect(server.listen({ host: "0.0.0.0", port: 0 })).rejects.toThrow(/credentials \(.*TLS \(/);
    await expect(server.listen({ host: "::", port: 0 }, { tlsEndsElsewhere: true })).rejects.toThrow(
      /takes credentials/,
    );
    expect(server.url).toBeUndefined();
    expect(() => server.setCredentials([shop.credential])).toThrow(TypeError);
    const other = serverOver(SETTINGS);
    await expect(other.listen({ host: "0.0.0.0", port: 0 })).rejects.toThrow(/takes TLS \(/);
    await other.listen({ host: "0.0.0.0", port: 0 }, { tlsEndsElsewhere: true });
    await other.close();
  });
});
