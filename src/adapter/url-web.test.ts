import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { clientCertificate, defineSession, url } from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { withSessions } from "./fetch.ts";
import { sessions } from "./hono.ts";

const user = defineSession<{ name: string }>({ name: "user", store: memoryStore() });
const kiosk = defineSession<{ name: string }>({ name: "kiosk", store: memoryStore(), transport: url() });

const post = (target: string): Request => new Request(target, { method: "POST", body: "hello", redirect: "manual" });

describe("a token in the URL is not seen by handlers of the web platform", () => {
  test("when the definition is installed inside another", async () => {
    const handler = withSessions(
      withSessions(async (request: Request) => new Response(`${request.url} ${await request.text()}`), kiosk),
      user,
    );
    expect(await (await handler(post("https://shop.example/a?kiosk=TOKEN&b=1"))).text()).toBe(
      "https://shop.example/a?b=1 hello",
    );
    const app = new Hono();
    app.use(sessions(user));
    app.use("/k/*", sessions(kiosk));
    app.post("/k/a", async (c) => c.text(`${c.req.url} ${await c.req.text()}`));
    expect(await (await app.request(post("https://shop.example/k/a?kiosk=TOKEN"))).text()).toBe(
      "https://shop.example/k/a hello",
    );
  });

  test("when the body has been read before", async () => {
    const app = new Hono();
    app.use(async (c, next) => {
      await c.req.text();
      await next();
    });
    app.use(sessions(kiosk));
    app.post("/a", async (c) => c.text(`${c.req.url} ${c.req.method} ${await c.req.text()}`));
    const response = await app.request(post("https://shop.example/a?kiosk=TOKEN"));
    expect([response.status, await response.text()]).toEqual([200, "https://shop.example/a POST hello"]);
  });

  test("when the method is one that no request can be made with", async () => {
    const trace = new Proxy(new Request("https://shop.example/a?kiosk=TOKEN"), {
      get: (target, key) => (key === "method" ? "TRACE" : (Reflect.get(target, key, target) as unknown)),
    });
    const handler = withSessions((request: Request) => new Response(`${request.method} ${request.url}`), kiosk);
    expect(await (await handler(trace)).text()).toBe("TRACE https://shop.example/a");
  });
});

test("Hono on Node: behind a proxy that ends TLS, its own certificate is nobody's", async () => {
  const device = defineSession<{ name: string }>({
    name: "device",
    store: memoryStore(),
    transport: clientCertificate({ trustProxy: (peer) => peer === "10.0.0.1" }),
  });
  const app = new Hono();
  app.use(sessions(device));
  app.get("/", async (c) => {
    const session = await device.from(c);
    const name = c.req.query("name");
    if (name !== undefined) session.set({ name });
    return c.text(String(session.data?.name));
  });
  const certificate = { fingerprint256: Array.from({ length: 32 }, () => "AA").join(":") };
  const socket = { authorized: true, remoteAddress: "10.0.0.1", getPeerCertificate: () => certificate };
  const ask = async (path: string, hash?: string): Promise<string> => {
    const headers: Record<string, string> = hash === undefined ? {} : { "X-Forwarded-Client-Cert": `Hash=${hash}` };
    return (await app.request(path, { headers }, { incoming: { socket } })).text();
  };
  expect(await ask("/?name=ada", "1".repeat(64))).toBe("ada");
  expect(await ask("/", "2".repeat(64))).toBe("undefined");
  expect(await ask("/")).toBe("undefined");
  expect(await ask("/", "1".repeat(64))).toBe("ada");
});
