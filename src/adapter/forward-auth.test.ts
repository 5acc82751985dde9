import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { Agent, createServer, request as ask, type IncomingMessage } from "node:http";
import { createServer as createTlsServer, request as askTls } from "node:https";
import type { AddressInfo } from "node:net";
import { array, assert, asyncProperty, integer, oneof } from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { clientCertificate, cookie, defineSession, header, sticky, type SessionOptions } from "../index.ts";
import { memoryStore } from "../store/memory.ts";
import { fakeClock } from "../testing/fake-clock.ts";
import {
  Browser,
  cachingStore,
  COOKIE,
  eventsOf,
  HOUR,
  KEY,
  MINUTE,
  renewed,
  SECOND,
  second,
  setup,
  signIn,
  subjectOf,
  type Data,
} from "../../test/testbed.ts";
import { certificates } from "../../test/servers/certificates.ts";
import { forwardAuth, type ForwardAuth, type ForwardAuthOptions } from "./forward-auth.ts";

const REFUSED = {
  status: 401,
  headers: { "cache-control": "no-store", vary: "Cookie", "www-authenticate": 'Session realm="user"' },
};

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
  return () => vi.restoreAllMocks();
});

/** A proxy asks on behalf of a browser. What it is told is no response to that browser, and its jar stays as it is. */
async function asked(
  auth: ForwardAuth,
  browser: Browser | string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<{ status: number; headers: Record<string, string> }> {
  const sent = new Headers(headers);
  const line = typeof browser === "string" ? browser : browser.cookieHeader();
  if (line !== "") sent.set("cookie", line);
  const response = await auth.fetch(
    new Request("http://127.0.0.1:4000/forward-auth/shop/user", { method, headers: sent }),
  );
  const told = Object.fromEntries(response.headers);
  expect(told["set-cookie"]).toBeUndefined();
  expect(told["location"]).toBeUndefined();
  expect(told["cache-control"]).toBe("no-store");
  return { status: response.status, headers: told };
}

async function statusOf(...args: Parameters<typeof asked>): Promise<number> {
  return (await asked(...args)).status;
}

describe("the answer", () => {
  test("to a request of somebody who is signed in tells who it is, and nothing else", async () => {
    const it = setup();
    let id = "";
    await it.browser.visit(it.user, (session) => {
      session.authenticate("ada", { level: "mfa" });
      ({ id } = session);
    });
    it.store.calls.length = 0;
    const identity = { "x-session-subject": "ada", "x-session-id": id, "x-session-level": "mfa" };
    expect(await asked(forwardAuth(it.user), it.browser)).toEqual({
      status: 200,
      headers: { "cache-control": "no-store", vary: "Cookie", ...identity },
    });
    expect(it.store.calls).toEqual(["read"]);
  });

  test("to everybody else is one and the same, and to a navigation, too, it takes no cookie back (P8)", async () => {
    const it = setup();
    const auth = forwardAuth(it.user);
    await signIn(it);
    const [token = ""] = it.browser.jar.values();
    const ended = it.browser.clone();
    await it.browser.visit(it.user, (session) => session.destroy());
    await signIn(it);
    const [other = ""] = it.browser.jar.values();
    const guest = new Browser(it.user);
    await guest.visit(it.user, (session) => session.set({ visits: 1 }));
    const both = new Browser(it.user);
    await both.visit(it.user, (session) => session.authenticate("bob"));
    const cart = defineSession<Data>({ name: "cart", store: it.store, clock: it.clock });
    const stranger = new Browser(cart);
    await stranger.visit(cart, (session) => session.authenticate("ada"));
    const lines: Record<string, string> = {
      none: "",
      empty: `${COOKIE}=`,
      malformed: `${COOKIE}=ada`,
      forged: `${COOKIE}=${other.slice(0, 22)}${"A".repeat(21)}`,
      unknown: `${COOKIE}=${"A".repeat(43)}`,
      ended: `${COOKIE}=${token}`,
      guest: guest.cookieHeader(),
      two: `${it.browser.cookieHeader()}; ${both.cookieHeader()}`,
      many: Array.from({ length: 5 }, (_, index) => `${COOKIE}=${String(index).repeat(43)}`).join("; "),
      elsewhere: `${COOKIE}=${[...stranger.jar.values()].join("")}`,
      unprefixed: `user=${other}`,
      huge: `${COOKIE}=${"x".repeat(12_000)}`,
    };
    for (const [what, line] of Object.entries(lines)) {
      expect([what, await asked(auth, line)]).toEqual([what, REFUSED]);
      expect([what, await asked(auth, line, { "sec-fetch-mode": "navigate" })]).toEqual([what, REFUSED]);
    }
    expect(await asked(auth, ended)).toEqual(REFUSED);
    expect(await statusOf(auth, it.browser)).toBe(200);
    it.clock.advance(13 * HOUR);
    expect(await asked(auth, it.browser)).toEqual(REFUSED);
  });

  test("comes to every method, over one connection, and no body is looked at", async () => {
    const it = setup();
    await signIn(it);
    const server = createServer(forwardAuth(it.user).node).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let connections = 0;
    server.on("connection", () => connections++);
    for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"]) {
      const body = method === "POST" || method === "PUT" ? "x".repeat(10_000) : "";
      const sending = ask({ agent, port, host: "127.0.0.1", method, headers: { cookie: it.browser.cookieHeader() } });
      sending.end(body);
      const [response] = (await once(sending, "response")) as [IncomingMessage & AsyncIterable<Buffer>];
      let length = 0;
      for await (const part of response) length += part.length;
      expect([method, response.statusCode, response.headers["x-session-subject"], length]).toEqual([
        method,
        200,
        "ada",
        0,
      ]);
      expect(response.headers["set-cookie"]).toBeUndefined();
    }
    expect(connections).toBe(1);
    agent.destroy();
    server.close();
  });

  test("reads what the definition's transport reads", async () => {
    const it = setup({ transport: [cookie(), header()] });
    const auth = forwardAuth(it.user);
    await signIn(it);
    const token = it.browser.jar.get(COOKIE) ?? "";
    expect(await statusOf(auth, "", { "x-session": token })).toBe(200);
    expect((await asked(auth, "")).headers["vary"]).toContain("Cookie");
  });

  test("never takes the proxy's own certificate for the client's", async () => {
    const { ca, server: pair, ada: proxy } = certificates();
    const certificate = new X509Certificate(proxy.cert).fingerprint256.replaceAll(":", "").toLowerCase();
    const store = memoryStore();
    const own = defineSession<Data>({ name: "device", store, transport: clientCertificate() });
    const proxied = defineSession<Data>({ name: "device", store, transport: clientCertificate({ trustProxy: true }) });
    await new Browser(own).visit(own, (session) => session.authenticate("press 7"), { certificate });
    for (const [definition, status] of [
      [own, 401],
      [proxied, 200],
    ] as const) {
      const server = createTlsServer({ ...pair, ca: ca.cert, requestCert: true }, forwardAuth(definition).node);
      await once(server.listen(0, "127.0.0.1"), "listening");
      const { port } = server.address() as AddressInfo;
      const headers = { "x-forwarded-client-cert": `Hash=${certificate}` };
      const sending = askTls({ port, host: "127.0.0.1", headers, ...proxy, agent: false, rejectUnauthorized: false });
      const [response] = (await once(sending.end(), "response")) as [IncomingMessage];
      response.resume();
      expect(response.statusCode).toBe(status);
      server.close();
    }
  });
});

describe("the session", () => {
  test("P10: is not renewed, however old its secret is, and the application's next response renews it", async () => {
    const it = setup({ sticky: sticky({ route: "a" }) });
    const auth = forwardAuth(it.user);
    await signIn(it);
    it.clock.advance(16 * MINUTE);
    // Touched, which is due, and then at rest.
    expect(await statusOf(auth, it.browser)).toBe(200);
    it.store.calls.length = 0;
    it.events.length = 0;
    for (let round = 0; round < 3; round++) expect(await statusOf(auth, it.browser)).toBe(200);
    expect([it.store.calls, it.events]).toEqual([["read", "read", "read"], []]);
    const before = it.browser.jar.get(COOKIE);
    await it.browser.visit(it.user, () => {});
    expect(it.events).toEqual(["renewed"]);
    expect(it.browser.jar.get(COOKIE)).not.toBe(before);
    expect(await statusOf(auth, it.browser)).toBe(200);
  });

  test("P10: keeps an offer that others made as it is; its own new secret confirms it (P6)", async () => {
    const it = setup();
    const auth = forwardAuth(it.user);
    const { old } = await renewed(it);
    it.store.calls.length = 0;
    expect(await statusOf(auth, old)).toBe(200);
    expect(it.store.calls).toEqual(["read"]);
    expect(await statusOf(auth, it.browser)).toBe(200);
    expect(it.events.at(-1)).toBe("confirmed");
    expect(it.store.calls).toEqual(["read", "read", "update"]);
  });

  test("P10: keeps a token under an old key as it is", async () => {
    const it = setup({ keys: [KEY] });
    await signIn(it);
    const rotated = second(it, { keys: [KEY.replace(/^./, "_"), KEY] });
    const events = eventsOf(rotated);
    expect(await statusOf(forwardAuth(rotated), it.browser)).toBe(200);
    expect(events).toEqual([]);
  });

  test("P6: a retired secret has its grace, is then refused, and is a replay much later", async () => {
    for (const onReplay of ["end", "reject"] as const) {
      const it = setup({ onReplay });
      const auth = forwardAuth(it.user);
      const { old } = await renewed(it);
      expect(await statusOf(auth, it.browser)).toBe(200);
      it.clock.advance(29 * SECOND);
      expect(await statusOf(auth, old)).toBe(200);
      it.clock.advance(2 * SECOND);
      expect(await statusOf(auth, old)).toBe(401);
      expect(await statusOf(auth, it.browser)).toBe(200);
      it.clock.advance(5 * MINUTE);
      expect(await statusOf(auth, old, { "sec-fetch-mode": "navigate" })).toBe(401);
      expect(await statusOf(auth, it.browser)).toBe(onReplay === "end" ? 401 : 200);
      expect(it.events.includes("destroyed:replay")).toBe(onReplay === "end");
    }
  });

  test("P2: lives on when nothing but a proxy asks for it, and is touched when that is due", async () => {
    const it = setup();
    const auth = forwardAuth(it.user);
    await signIn(it);
    it.store.calls.length = 0;
    it.clock.advance(2 * MINUTE);
    expect(await statusOf(auth, it.browser)).toBe(200);
    expect(it.store.calls).toEqual(["read"]);
    for (let round = 0; round < 10; round++) {
      it.clock.advance(20 * MINUTE);
      expect(await statusOf(auth, it.browser)).toBe(200);
    }
    expect(it.store.calls.filter((verb) => verb !== "read")).toEqual(Array.from({ length: 10 }, () => "touch"));
    it.clock.advance(34 * MINUTE);
    expect(await statusOf(auth, it.browser)).toBe(401);
  });

  test("P14: that ends while it is being touched lets nobody in", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(10 * MINUTE);
    it.store.before = async (verb) => {
      if (verb === "touch") await it.user.manager.revokeAll("ada");
    };
    expect(await asked(forwardAuth(it.user), it.browser)).toEqual(REFUSED);
    expect(it.events).toContain("gone:ended");
  });

  test("that could not be touched lets in all the same (P22)", async () => {
    const it = setup();
    await signIn(it);
    it.clock.advance(10 * MINUTE);
    it.store.before = (verb) => {
      if (verb === "touch") throw new Error("away");
    };
    expect(await statusOf(forwardAuth(it.user), it.browser)).toBe(200);
  });

  test("P21: that cannot be read lets nobody in: 503, or as a guest where the definition says so", async () => {
    for (const [onStoreError, status] of [
      ["throw", 503],
      ["anonymous", 401],
    ] as const) {
      const it = setup({ onStoreError });
      await signIn(it);
      it.store.before = () => {
        throw new Error("away");
      };
      const answer = await asked(forwardAuth(it.user), it.browser, { "sec-fetch-mode": "navigate" });
      expect([answer.status, Object.keys(answer.headers).some((name) => name.startsWith("x-"))]).toEqual([
        status,
        false,
      ]);
      it.store.before = () => undefined;
      expect(await subjectOf(it.browser, it.user)).toBe("ada");
    }
  });

  test("by value is read, and its idle clock stands still", async () => {
    const clock = fakeClock();
    const options = { keys: KEY, revocation: "none", idleTimeout: "30m", clock } as const;
    const user = defineSession<Data>({ name: "user", ...options });
    const browser = new Browser(user);
    await browser.visit(user, (session) => session.authenticate("ada"));
    const auth = forwardAuth(user);
    clock.advance(20 * MINUTE);
    expect(await asked(auth, browser)).toMatchObject({ status: 200, headers: { "x-session-subject": "ada" } });
    clock.advance(20 * MINUTE);
    expect(await statusOf(auth, browser)).toBe(401);
  });

  test("that was ended elsewhere is shut out past copies with `verify`, and for what changes things", async () => {
    const copied: [Partial<SessionOptions>, boolean][] = [
      [{ keys: KEY, trustFor: 60 }, true],
      [{ store: cachingStore(memoryStore()) }, false],
    ];
    for (const [options, byMethod] of copied) {
      const it = setup(options);
      const auth = forwardAuth(it.user);
      await signIn(it);
      await it.browser.visit(it.user, () => {});
      expect(await statusOf(auth, it.browser)).toBe(200);
      await endedElsewhere(it, options);
      expect(await statusOf(auth, it.browser, { "x-forwarded-method": "GET" })).toBe(200);
      if (byMethod) {
        expect(await statusOf(auth, it.browser, { "x-forwarded-method": "POST" })).toBe(401);
        expect(await statusOf(auth, it.browser, { "x-forwarded-method": "GET" }, "POST")).toBe(401);
      }
      expect(await statusOf(forwardAuth(it.user, { verify: true }), it.browser)).toBe(401);
    }
  });
});

/** By a process with no copies. */
async function endedElsewhere(
  it: ReturnType<typeof setup>,
  { store = it.store }: Partial<SessionOptions>,
): Promise<void> {
  const bare = {
    ...store,
    cached: false,
    read: (key: string, call: { now: number }) => store.read(key, { ...call, fresh: true }),
  };
  const other = defineSession<Data>({ name: "user", store: bare, clock: it.clock });
  const { listBySubject, deleteBySubject } = store;
  Object.assign(bare, {
    listBySubject: listBySubject?.bind(store),
    ...(deleteBySubject && { deleteBySubject: deleteBySubject.bind(store) }),
  });
  const id = await it.browser.visit(it.user, (session) => session.id);
  expect(await other.manager.revoke(id)).toBe(true);
}

describe("who may pass", () => {
  test("is a matter of the level", async () => {
    const it = setup();
    const levels = [undefined, "password", "mfa", "aal3"];
    for (const level of levels) {
      await it.browser.visit(it.user, (session) => session.authenticate("ada", level === undefined ? {} : { level }));
      const statuses = [undefined, "mfa", ["mfa", "aal3"]].map((accepted) =>
        statusOf(forwardAuth(it.user, { level: accepted }), it.browser),
      );
      const strong = level === "mfa" || level === "aal3";
      expect(await Promise.all(statuses)).toEqual([200, level === "mfa" ? 200 : 401, strong ? 200 : 401]);
    }
  });

  test("is a matter of `allow`, whose no is no call to sign in", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => {
      session.authenticate("ada");
      session.set({ name: "Ada" });
    });
    const ask403 = async (allow: ForwardAuthOptions<Data>["allow"]): Promise<number> =>
      await statusOf(forwardAuth(it.user, { allow }), it.browser);
    expect(await ask403(({ data, subject }) => data?.name === "Ada" && subject === "ada")).toBe(200);
    expect(await ask403(async () => await Promise.resolve(true))).toBe(200);
    expect(await ask403(() => false)).toBe(403);
    expect(await ask403(async () => await Promise.resolve(false))).toBe(403);
    expect(await ask403((() => "yes") as never)).toBe(403);
    expect(await statusOf(forwardAuth(it.user, { allow: () => true }), "")).toBe(401);
  });

  test("is nobody when a function of the options fails, and none can change the session", async () => {
    const it = setup();
    await signIn(it);
    const fails = (): never => {
      throw new Error("a mistake");
    };
    const told: unknown[] = [];
    const onError = (error: unknown): void => void told.push(error);
    expect(await statusOf(forwardAuth(it.user, { allow: fails, onError }), it.browser)).toBe(500);
    expect(told).toEqual([new Error("a mistake")]);
    expect(console.error).not.toHaveBeenCalled();
    expect(await statusOf(forwardAuth(it.user, { allow: fails, onError: fails }), it.browser)).toBe(500);
    expect(await statusOf(forwardAuth(it.user, { more: { "X-Name": fails } }), it.browser)).toBe(500);
    expect(await statusOf(forwardAuth(it.user, { more: { "X-Name": (() => 7) as never } }), it.browser)).toBe(500);
    const changes = forwardAuth(it.user, {
      allow: (session) => {
        (session as unknown as { destroy(): void }).destroy();
        return true;
      },
    });
    expect(await statusOf(changes, it.browser)).toBe(500);
    expect(await statusOf(forwardAuth(it.user), it.browser)).toBe(200);
  });
});

describe("the headers", () => {
  test("have the names that they are given", async () => {
    const it = setup();
    await it.browser.visit(it.user, (session) => {
      session.authenticate("ada", { level: "mfa" });
      session.set({ name: "Ada Lovelace" });
    });
    const auth = forwardAuth(it.user, {
      headers: { subject: "Remote-User", id: false, level: false },
      more: { "Remote-Name": ({ data }) => data?.name, "X-Theme": ({ data }) => data?.theme, "X-Empty": () => "" },
    });
    const { headers } = await asked(auth, it.browser);
    expect(headers).toEqual({
      "cache-control": "no-store",
      vary: "Cookie",
      "remote-user": "ada",
      "remote-name": "Ada%20Lovelace",
    });
  });

  test("say exactly what is to be said, and nothing can be injected by it", async () => {
    const subjects: [string, string][] = [
      ["ada@example.org", "ada@example.org"],
      ["urn:user:7", "urn:user:7"],
      ['a+b, c;d="e"', "a%2Bb%2C%20c%3Bd%3D%22e%22"],
      ["100%41", "100%2541"],
      ["ada\r\nX-Session-Level: root\r\n\r\n", "ada%0D%0AX-Session-Level:%20root%0D%0A%0D%0A"],
      ["!'()*", "%21%27%28%29%2A"],
      ["Zoë 🦉\u0000\u007f\u00a0\u2028", "Zo%C3%AB%20%F0%9F%A6%89%00%7F%C2%A0%E2%80%A8"],
      ["\ud800x\udc00", "%EF%BF%BDx%EF%BF%BD"],
    ];
    const it = setup();
    const auth = forwardAuth(it.user);
    for (const [subject, value] of subjects) {
      await it.browser.visit(it.user, (session) => session.authenticate(subject));
      const { status, headers } = await asked(auth, it.browser);
      expect([status, headers["x-session-subject"]]).toEqual([200, value]);
    }
  });

  test("are undone by decodeURIComponent, whatever they say, through a server and its client, too", async () => {
    const it = setup();
    let name = "";
    await signIn(it);
    const server = createServer(forwardAuth(it.user, { more: { "X-Name": () => name } }).node).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    // Not fast-check's own text of any characters, which takes seconds to be made.
    const scalars = integer({ min: 0, max: 0x10_ffff }).filter((code) => code < 0xd800 || code > 0xdfff);
    const characters = oneof(scalars, integer({ min: 0, max: 0x7f })).map((code) => String.fromCodePoint(code));
    await assert(
      asyncProperty(array(characters, { minLength: 1, maxLength: 40 }), async (parts) => {
        const text = parts.join("");
        name = text;
        const { headers } = await fetch(url, { headers: { cookie: it.browser.cookieHeader() } });
        const value = headers.get("x-name") ?? "";
        expect(value).toMatch(/^[A-Za-z0-9\-._~@:%]+$/);
        expect(decodeURIComponent(value)).toBe(text);
      }),
      { numRuns: 200 },
    );
    server.close();
  });
});

describe("P30: behind a proxy on the developer's own machine", () => {
  const forwarding = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via", "x-real-ip"];
  const hosts: Record<string, string>[] = ["localhost:8080", "127.0.0.1:4000", "shop.example"].flatMap((host) => [
    { host },
    { host, "x-forwarded-proto": "http" },
    { host, "x-forwarded-proto": "https" },
    { host, forwarded: "proto=http;host=localhost" },
    { host, ...Object.fromEntries(forwarding.map((name) => [name, "localhost"])) },
  ]);

  test("the cookie is the one that the application sets there, never the one without a prefix", async () => {
    const [trusting, usual] = [cookie({ trustProxy: true }), cookie()];
    for (const transport of [trusting, usual]) {
      const it = setup({ transport });
      const auth = forwardAuth(it.user);
      await signIn(it);
      const token = it.browser.jar.get(COOKIE);
      for (const headers of hosts) {
        expect([headers, await statusOf(auth, `${COOKIE}=${token}`, headers)]).toEqual([headers, 200]);
        expect([headers, await statusOf(auth, `user=${token}`, headers)]).toEqual([headers, 401]);
      }
    }
  });

  test("and without a prefix where the definition says `secure: false`", async () => {
    const it = setup({ transport: cookie({ secure: false }) });
    await signIn(it);
    const token = it.browser.jar.get("user");
    for (const headers of hosts) expect(await statusOf(forwardAuth(it.user), `user=${token}`, headers)).toBe(200);
  });
});

test("options that cannot work are refused by name", () => {
  const { user } = setup();
  const refused: [unknown, RegExp][] = [
    [{ levels: "mfa" }, /levels is not an option/],
    [{ level: [] }, /^level must/],
    [{ level: 2 }, /^level must/],
    [{ level: ["mfa", ""] }, /^level must/],
    [{ allow: true }, /^allow must/],
    [{ verify: 1 }, /^verify must/],
    [{ onError: "log" }, /^onError must/],
    [{ headers: { user: "X-User" } }, /user is not an option/],
    [{ headers: { subject: "" } }, /^headers\.subject must/],
    [{ headers: { subject: "X_User" } }, /^headers\.subject must/],
    [{ headers: { subject: "X-User\r\nA" } }, /^headers\.subject must/],
    [{ headers: { id: "x-session-subject" } }, /^headers\.id must not use/],
    [{ headers: { level: true } }, /^headers\.level must/],
    [{ more: { "Set-Cookie": () => "" } }, /^more must/],
    [{ more: { Location: () => "" } }, /^more must/],
    [{ more: { "x-session-id": () => "" } }, /^more must not use/],
    [{ more: { "X-Name": "Ada" } }, /^more must have a function/],
    [{ more: null }, /^more must/],
  ];
  for (const [options, message] of refused) {
    expect(() => forwardAuth(user, options as never), JSON.stringify(options)).toThrow(TypeError);
    expect(() => forwardAuth(user, options as never), JSON.stringify(options)).toThrow(message);
  }
  expect(() => forwardAuth({} as never)).toThrow(TypeError);
});
