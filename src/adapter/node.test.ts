import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeEach, expect, test, vi } from "vitest";
import { StoreError } from "../errors.ts";
import { breakStore, kitSession, kitStore, slowStore } from "../testing/adapter-kit.ts";
import { sessionAgent, type SessionAgent } from "../testing/session-agent.ts";
import { withSessions } from "./node.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
  return () => vi.restoreAllMocks();
});

async function serving(handler: RequestListener, work: (agent: SessionAgent) => Promise<void>): Promise<void> {
  const server = createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work(sessionAgent(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("an error inside a nested withSessions() whose result nobody looks at is answered once", async () => {
  const [user, cart] = [kitSession(slowStore()), kitSession(slowStore(), { name: "cart" })];
  const inner = withSessions(async (req) => {
    (await cart.from(req)).authenticate("ada");
    throw new Error("a handler's mistake");
  }, cart);
  const outer = withSessions((req, res) => {
    inner(req, res);
  }, user);
  await serving(outer, async (agent) => {
    const response = await agent.fetch("/");
    expect(response.status).toBe(500);
    expect(response.headers.getSetCookie()).toHaveLength(1);
    expect(console.error).toHaveBeenCalledOnce();
  });
});

test("an error that is answered goes to stderr", async () => {
  const store = kitStore();
  const user = kitSession(store);
  breakStore(store, "create");
  const handler = withSessions(async (req, res) => {
    (await user.from(req)).set({ count: 1 });
    res.end("not to be seen");
  }, user);
  await serving(handler, async (agent) => {
    const response = await agent.fetch("/");
    expect(await response.text()).toBe("Service Unavailable\n");
    expect(vi.mocked(console.error).mock.calls).toEqual([[expect.any(StoreError)]]);
  });
});

test("headers that were set outside survive a handler that throws, but for what was about its body", async () => {
  const user = kitSession(kitStore());
  const handler = withSessions((_req, res) => {
    res.setHeader("Content-Encoding", "gzip");
    res.setHeader("Content-Length", 5000);
    throw new Error("a handler's mistake");
  }, user);
  const outside: RequestListener = (req, res) => {
    res.setHeader("Access-Control-Allow-Origin", "*");
    handler(req, res);
  };
  await serving(outside, async (agent) => {
    const response = await agent.fetch("/");
    expect(response.status).toBe(500);
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(response.headers.get("content-encoding")).toBeNull();
    expect(await response.text()).toBe("Internal Server Error\n");
  });
});

test("withSessions() takes at least one definition, and only definitions", () => {
  expect(() => withSessions(() => {})).toThrow(TypeError);
  expect(() => withSessions(() => {}, {} as never)).toThrow(TypeError);
});
