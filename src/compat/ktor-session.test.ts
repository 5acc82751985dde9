/**
 * Sessions that a Ktor server and a definition share: what is written here is read by Ktor's format, and the other way round.
 */
import fc from "fast-check";
import { once } from "node:events";
import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Browser, eventsOf } from "../../test/testbed.ts";
import { withSessions } from "../adapter/node.ts";
import { withSessions as withFetchSessions } from "../adapter/fetch.ts";
import { defineSession, type SessionDefinition } from "../index.ts";
import {
  ktorCookie,
  ktorCookieSession,
  ktorEncrypt,
  ktorForm,
  ktorHeader,
  ktorHeaderSession,
  ktorJson,
  ktorSign,
  type KtorEncoding,
  type KtorSerializer,
  type KtorTransform,
} from "./ktor.ts";

interface Cart {
  userId: string;
  cart: string[];
}

const EK = "00112233445566778899aabbccddeeff";
const SK = "02030405060708090a0b0c";
const MAC_KEY = "003515606058610610561058";
const json = ktorJson<Cart>();
const form: KtorSerializer<Cart> = ktorForm({ userId: "string", cart: ["string"] });
const sign = ktorSign({ key: MAC_KEY });
const encrypt = ktorEncrypt({ encryptKey: EK, signKey: SK });
const byCookie = { serializer: json, transform: [sign] };

const NAME = "cart_session";
const define = (options: object): SessionDefinition<Cart> =>
  defineSession<Cart>({ name: NAME, ...ktorCookieSession({ ...byCookie, ...options }) });

describe("a cookie that is shared with a Ktor server", () => {
  const transforms: readonly (readonly [name: string, transform: readonly KtorTransform[]])[] = [
    ["signed", [sign]],
    ["encrypted", [encrypt]],
    ["signed and then encrypted", [sign, encrypt]],
  ];
  const serializers: readonly (readonly [name: string, serializer: KtorSerializer<Cart>])[] = [
    ["JSON", json],
    ["the form text", form],
  ];
  const encodings: readonly KtorEncoding[] = ["URI_ENCODING", "BASE64_ENCODING", "DQUOTES", "RAW"];
  const all = transforms.flatMap(([how, transform]) =>
    serializers.flatMap(([what, serializer]) =>
      encodings.map((encoding) => ({ how, what, encoding, options: { serializer, transform, encoding } })),
    ),
  );

  test.each(all)("$how, $what, $encoding: each reads what the other one wrote", async ({ how, what, options }) => {
    const cart = define(options);
    const ktor = ktorCookie<Cart>(options);
    const browser = new Browser(cart);
    const written: Cart = { userId: "ada l", cart: ["x y", "ż/:="] };
    const data =
      what === "JSON" && how === "signed" && options.encoding === "RAW" ? { ...written, cart: ["x, y"] } : written;
    const setting = browser.visit(cart, (session) => session.set(data));
    if (what === "JSON" && how === "signed" && options.encoding === "DQUOTES") {
      // As Ktor does: it throws too.
      await expect(setting).rejects.toThrow(/the encoding DQUOTES/);
      return;
    }
    await setting;
    expect(await ktor.read(browser.jar.get(NAME) ?? "")).toEqual(data);

    browser.jar.set(NAME, await ktor.write({ userId: "kay", cart: [] }));
    expect(await browser.visit(cart, (session) => [session.data, session.isNew])).toEqual([
      { userId: "kay", cart: [] },
      false,
    ]);
    await browser.visit(cart, (session) => session.patch({ cart: ["z"] }));
    expect(await ktor.read(browser.jar.get(NAME) ?? "")).toEqual({ userId: "kay", cart: ["z"] });
  });

  test("has the name that Ktor gives it, and the attributes of cookie()", async () => {
    const line = async (options: object): Promise<string> => {
      const cart = define(options);
      const visit = new Browser(cart).arrive();
      (await visit.from(cart)).set({ userId: "a", cart: [] });
      return (await visit.answer()).setCookies.join().replace(/=[^;]*/, "=…");
    };
    expect(await line({})).toBe("cart_session=…; Path=/; HttpOnly; Secure; SameSite=Lax");
    expect(await line({ cookie: { name: "s", path: "/shop", domain: "shop.example", sameSite: "strict" } })).toBe(
      "s=…; Domain=shop.example; Path=/shop; HttpOnly; Secure; SameSite=Strict",
    );
  });

  test("is sent only when the data changed, and taken back by destroy()", async () => {
    const cart = define({});
    const browser = new Browser(cart);
    await browser.visit(cart, (session) => session.set({ userId: "a", cart: [] }));
    for (const handler of [
      (session: { data: unknown }) => void session.data,
      (session: { set(data: Cart): void }) => session.set({ userId: "a", cart: [] }),
    ]) {
      const visit = browser.arrive();
      handler((await visit.from(cart)) as never);
      expect((await visit.answer()).setCookies).toEqual([]);
    }
    await browser.visit(cart, (session) => session.destroy());
    expect(browser.jar.has(NAME)).toBe(false);
  });

  test("of two, the same value spelt in two ways, is one session; two values are none", async () => {
    const cart = define({});
    const value = await ktorCookie(byCookie).write({ userId: "a b", cart: [] });
    const other = await ktorCookie(byCookie).write({ userId: "b", cart: [] });
    const read = async (cookies: string): Promise<unknown> => {
      const visit = new Browser(cart).arrive({ headers: { cookie: cookies } });
      return (await visit.from(cart)).data;
    };
    expect(value).toContain("+");
    expect(await read(`${NAME}=${value}; ${NAME}=${value.replace("+", "%20")}`)).toEqual({ userId: "a b", cart: [] });
    expect(await read(`${NAME}=%; ${NAME}=${value}`)).toEqual({ userId: "a b", cart: [] });
    expect(await read(`${NAME}=${value}; ${NAME}=${other}`)).toBeUndefined();
  });

  test("in the old layout of Ktor 2 is read, and sent in the new one", async () => {
    const old = `${EK}/c3850fc1ddc62f71ec5eaad6d393b91fa809fe32a1cf0cb4730788c5a489daef:51a5e9fcd1c91418f9a623bafa5022a524348e44244265dc0cab2cebacc28a5d`;
    const reader = (backwardCompatibleRead: boolean): object => ({
      serializer: form,
      transform: [ktorEncrypt({ encryptKey: EK, signKey: SK, backwardCompatibleRead })],
    });
    const cart = define(reader(true));
    const browser = new Browser(cart);
    browser.jar.set(NAME, encodeURIComponent(old));
    expect(await browser.visit(cart, ({ data }) => data)).toEqual({ userId: "id2", cart: [] });
    const sent = browser.jar.get(NAME) ?? "";
    expect(sent).not.toBe(encodeURIComponent(old));
    expect(await ktorCookie({ serializer: form, transform: [encrypt] }).read(sent)).toEqual({
      userId: "id2",
      cart: [],
    });

    const strict = define(reader(false));
    browser.jar.set(NAME, encodeURIComponent(old));
    expect(await browser.visit(strict, ({ data }) => data)).toBeUndefined();
  });

  test("that a Ktor server signed with another key, or not at all, is nobody's", async () => {
    const cart = define({});
    const events = eventsOf(cart);
    const others = [
      ktorCookie({ serializer: json, transform: [ktorSign({ key: "01" })] }),
      ktorCookie({ serializer: json }),
    ];
    for (const other of others) {
      const browser = new Browser(cart);
      browser.jar.set(NAME, await other.write({ userId: "admin", cart: [] }));
      expect(await browser.visit(cart, ({ isNew }) => isNew)).toBe(true);
    }
    expect(events).toEqual(["rejected:forged", "rejected:forged"]);
  });

  test("with data of another class is nobody's, with an event", async () => {
    const cart = define({ serializer: form });
    const events = eventsOf(cart);
    const browser = new Browser(cart);
    browser.jar.set(NAME, await ktorCookie(byCookie).write({ userId: "a", cart: [] }));
    expect(await browser.visit(cart, ({ isNew }) => isNew)).toBe(true);
    expect(events).toEqual(["rejected:corrupt"]);
  });

  test.each(encodings)("%s: whatever a client makes of it is a visitor, and never an error", async (encoding) => {
    const values = [
      "",
      "%",
      "%zz",
      "%FF",
      "INVALID",
      "abc/abc:abc",
      '"',
      '""',
      "{}",
      "%7B%7D",
      "null",
      "A".repeat(5000),
    ];
    for (const transform of [[sign], [encrypt]]) {
      const options = { serializer: form, transform, encoding };
      const cart = define(options);
      const good = await ktorCookie<Cart>(options).write({ userId: "ada", cart: ["x"] });
      const seen = async (value: string): Promise<readonly [status: number, body: string]> => {
        const handler = withFetchSessions(
          async (req: Request) => Response.json((await cart.from(req)).data ?? null),
          cart,
        );
        const response = await handler(
          new Request("https://shop.example/", { headers: { cookie: `${NAME}=${value}` } }),
        );
        return [response.status, await response.text()];
      };
      expect(await seen(good)).toEqual([200, '{"userId":"ada","cart":["x"]}']);
      for (const value of values) expect(await seen(value)).toEqual([200, "null"]);
      for (let at = 0; at < good.length; at++) expect(await seen(good.slice(0, at))).toEqual([200, "null"]);
      const flip = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0x21, max: 0x7e }));
      await fc.assert(
        fc.asyncProperty(flip, async ([at, code]) => {
          const [status, body] = await seen(good.slice(0, at) + String.fromCharCode(code) + good.slice(at + 1));
          expect(status).toBe(200);
          // Some characters have two spellings. (That the IV of an encrypted one is not authenticated is Ktor's: docs/ktor.md.)
          if (transform[0] === sign) expect(['{"userId":"ada","cart":["x"]}', "null"]).toContain(body);
        }),
        { numRuns: 150 },
      );
    }
  });
});

describe("a header that is shared with a Ktor server", () => {
  test.each([
    ["signed", [sign]],
    ["encrypted", [encrypt]],
  ])("%s: each reads what the other one wrote", async (_name, transform) => {
    const cart = defineSession({ name: "cart", ...ktorHeaderSession("cart_session", { serializer: json, transform }) });
    const ktor = ktorHeader({ serializer: json, transform });
    const visit = async (
      value: string,
      userId?: string,
    ): Promise<readonly [data: unknown, sent: string | undefined]> => {
      const arrived = new Browser(cart).arrive({ headers: { cart_session: value } });
      const session = await arrived.from(cart);
      const { data } = session;
      if (userId !== undefined) session.set({ userId, cart: ["a, b", '"'] });
      return [data, (await arrived.answer()).edits.find(({ name }) => name === "cart_session")?.value];
    };
    const [, sent = ""] = await visit("", "ada");
    expect(await ktor.read(sent)).toEqual({ userId: "ada", cart: ["a, b", '"'] });
    expect(await visit(sent)).toEqual([{ userId: "ada", cart: ["a, b", '"'] }, undefined]);
    const [data, again = ""] = await visit(await ktor.write({ userId: "kay", cart: ["x"] }), "ben");
    expect(data).toEqual({ userId: "kay", cart: ["x"] });
    expect((await ktor.read(again))?.userId).toBe("ben");
    for (let at = 0; at < sent.length; at++) expect((await visit(sent.slice(0, at)))[0]).toBeUndefined();
    // Two lines of one header come as a list, of which neither is believed.
    expect((await visit(`${sent}, ${sent}`))[0]).toBeUndefined();
  });

  test("carries other characters than ASCII encrypted only", async () => {
    const byHeader = (transform: readonly KtorTransform[]): SessionDefinition<Cart> =>
      defineSession({ name: "cart", ...ktorHeaderSession("X-Cart", { serializer: json, transform }) });
    const write = async (cart: SessionDefinition<Cart>): Promise<void> =>
      await new Browser(cart).visit(cart, (session) => session.set({ userId: "ż", cart: [] }));
    await expect(write(byHeader([sign]))).rejects.toThrow(/encrypt it, or keep to ASCII/);
    await expect(write(byHeader([encrypt]))).resolves.toBeUndefined();
  });
});

describe("over a socket, with the outputs of Ktor's own tests", () => {
  const servers: (() => Promise<void>)[] = [];
  beforeEach(() => void vi.spyOn(console, "warn").mockImplementation(() => {}));
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const stop of servers.splice(0)) await stop();
  });

  interface Answer {
    readonly status: number | undefined;
    readonly before: unknown;
    readonly sent: string | undefined;
  }

  /** A server that puts `pear` into the cart of everybody who has one. */
  async function serve(cart: SessionDefinition<Cart>): Promise<(cookie: string) => Promise<Answer>> {
    const handler = withSessions(async (req, res) => {
      const session = await cart.from(req);
      const before = session.data ?? null;
      if (before !== null) session.patch({ cart: [...before.cart, "pear"] });
      res.end(JSON.stringify(before));
    }, cart);
    const server = createServer(handler).listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push(async () => void (await once(server.close(), "close")));
    const { port } = server.address() as AddressInfo;
    return async (cookie) => {
      const asked = request({
        host: "127.0.0.1",
        port,
        agent: false,
        headers: { host: `localhost:${port}`, cookie },
      }).end();
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      let body = "";
      for await (const chunk of response) body += String(chunk);
      const [line] = response.headers["set-cookie"] ?? [];
      return { status: response.statusCode, before: JSON.parse(body), sent: /^[^=]+=([^;]*)/.exec(line ?? "")?.[1] };
    };
  }

  test.each([
    [
      "SessionTestJvm.testSessionEncrypted",
      { serializer: json, transform: [encrypt] },
      `${EK}%2F9b8cf9900ff0f63849cb7a2ad71ed8a1ac9f0e2735492d2a5129cf278d70ab27%3A40af9f393a00034b53d2267251047259005bdf5ff104eede599149e80e6fee13`,
      "id2",
    ],
    [
      "SessionTestJvm.testSessionEncryptedBackwardCompatible",
      { serializer: form, transform: [encrypt] },
      `${EK}%2Fc3850fc1ddc62f71ec5eaad6d393b91fa809fe32a1cf0cb4730788c5a489daef%3A65f0bd15bfa7e96b8bd9e134e23a24860b324e361c606e6800af050f5d104b68`,
      "id2",
    ],
    [
      "HmacSHA256 of a JDK, over JSON",
      { serializer: json, transform: [sign] },
      "%7B%22userId%22%3A%22id+2%22%2C%22cart%22%3A%5B%5D%7D%2F0adc94dc04d0122b8139e88250ab61bcc01980ed3898eb4e557e2a749e17ab16",
      "id 2",
    ],
    [
      "HmacSHA256 of a JDK, over the form text",
      { serializer: form, transform: [sign] },
      "cart%3D%2523cl%26userId%3D%2523sid2%2F7c074ebfe2bc283d5a280dd43e17361d1e11222cb4738f93d6ea7798f2760a51",
      "id2",
    ],
  ])(
    "%s: the cookie is read, changed, and what is sent back is what Ktor reads",
    async (_name, options, value, userId) => {
      const visit = await serve(define(options));
      const { status, before, sent = "" } = await visit(`${NAME}=${value}`);
      expect([status, before]).toEqual([200, { userId, cart: [] }]);
      expect(await ktorCookie<Cart>(options).read(sent)).toEqual({ userId, cart: ["pear"] });
      expect(await visit(`${NAME}=${sent}`)).toMatchObject({ status: 200, before: { userId, cart: ["pear"] } });
    },
  );

  test("RAW: quotes, commas, blanks and backslashes go through a real server and come back", async () => {
    const options = { serializer: json, transform: [sign], encoding: "RAW" } as const;
    const visit = await serve(define(options));
    const value = await ktorCookie<Cart>(options).write({ userId: 'a "b"\\, c', cart: ["d"] });
    const { before, sent = "" } = await visit(`${NAME}=${value}`);
    expect(before).toEqual({ userId: 'a "b"\\, c', cart: ["d"] });
    expect(await ktorCookie<Cart>(options).read(sent)).toEqual({ userId: 'a "b"\\, c', cart: ["d", "pear"] });
  });

  test.each(["INVALID", "abc%2Fabc%3Aabc", "%", "%FF", "", '"', "../x"])(
    "%j is a visitor without a session, as Ktor's tests say, and no error",
    async (value) => {
      for (const transform of [[sign], [encrypt]]) {
        const visit = await serve(define({ serializer: json, transform }));
        expect(await visit(`${NAME}=${value}`)).toEqual({ status: 200, before: null, sent: undefined });
      }
    },
  );
});

describe("what cannot be shared", () => {
  test.each<[option: string, options: object]>([
    ["transform", { transform: [] }],
    ["transform", { transform: undefined }],
    ["transform", { transform: [{}] }],
    ["transform", { transform: sign }],
    ["serializer", { serializer: undefined }],
    ["serializer", { serializer: { read() {} } }],
    ["encoding", { encoding: "BASE64" }],
    ["split", { cookie: { split: 2 } }],
    ["colour", { colour: "red" }],
  ])("%s is refused by its name (%#)", (option, options) => {
    expect(() => ktorCookieSession({ ...byCookie, ...options } as never)).toThrow(TypeError);
    expect(() => ktorCookieSession({ ...byCookie, ...options } as never)).toThrow(option);
  });

  test("a header that means something else, and options of a cookie there, are refused", () => {
    expect(() => ktorHeaderSession("Authorization", byCookie)).toThrow(TypeError);
    expect(() => ktorHeaderSession(undefined as never, byCookie)).toThrow(/^name must/);
    for (const bad of [null, 1, { form: 1 }]) {
      expect(() => ktorCookieSession({ ...byCookie, cookie: bad as never })).toThrow(/^cookie must/);
    }
    expect(() => ktorHeaderSession("X-Cart", { ...byCookie, encoding: "RAW" } as never)).toThrow(/encoding/);
    expect(() => ktorHeaderSession("X-Cart", { ...byCookie, transform: [] })).toThrow(/transform/);
  });

  test("clocks, a revocation store and a store are refused beside it, by name", () => {
    const shared = ktorCookieSession(byCookie);
    expect(() => defineSession({ name: NAME, ...shared, absoluteTimeout: "12h" })).toThrow(/^absoluteTimeout/);
    expect(() => defineSession({ name: NAME, ...shared, idleTimeout: "30m" })).toThrow(/^idleTimeout/);
  });

  test("describe() says what is shared and how", () => {
    expect(define({ transform: [sign, encrypt] }).manager.describe()).toMatchObject({
      kept: "by value",
      codec: true,
      protection: "ktorSign+ktorEncrypt",
      revocation: "none",
      absoluteTimeout: false,
      idleTimeout: false,
      transport: { kind: "cookie", name: NAME, form: true },
    });
  });
});
