import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sessionAgent, type SessionAgent } from "coatcheck/testing";
import { ensureBuilt } from "./built.ts";
import { json, JSON_HEADERS, post, signIn } from "./shop-client.ts";
import { freePort, startShop, temporaryData, type ShopProcess } from "./shop-process.ts";

let shop: ShopProcess;
let data: Awaited<ReturnType<typeof temporaryData>>;

beforeAll(async () => {
  await ensureBuilt();
  data = await temporaryData();
  shop = await startShop({ port: await freePort(), dataDir: data.dataDir });
});

afterAll(async () => await data.cleanUp());

function visitor(): SessionAgent {
  return sessionAgent(shop.url);
}

describe("bad input", () => {
  const refused: readonly (readonly [fields: Readonly<Record<string, string>>, error: string])[] = [
    [{ item: "yacht", quantity: "1" }, "unknown_item"],
    [{ item: "__proto__", quantity: "1" }, "unknown_item"],
    [{ quantity: "1" }, "unknown_item"],
    [{ item: "hat" }, "bad_quantity"],
    ...["0", "100", "-1", "1.5", "1e1", "", "many"].map(
      (quantity) => [{ item: "hat", quantity }, "bad_quantity"] as const,
    ),
  ];

  test.each(refused)("POST /cart with %j is refused: %s", async (fields, error) => {
    const guest = visitor();
    const body = new URLSearchParams(fields);
    const response = await guest.fetch("/cart", { method: "POST", headers: JSON_HEADERS, body });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error, message: expect.any(String) });
    expect(guest.cookies.size).toBe(0);
  });

  test("JSON bodies work as forms do", async () => {
    const guest = visitor();
    const send = (body: string): Promise<Response> =>
      guest.fetch("/cart", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    expect((await send('{"item":"hat","quantity":2}')).status).toBe(303);
    expect((await send('{"item":"hat","quantity":2.5}')).status).toBe(400);
    expect((await send('{"item":{"a":1},"quantity":[1]}')).status).toBe(400);
    expect((await send("{")).status).toBe(400);
    expect((await send(`"${"x".repeat(20_000)}"`)).status).toBe(413);
    expect(await json(guest, "/cart")).toMatchObject({ items: [{ sku: "hat", quantity: 2 }] });
  });

  test("a wrong password, or an unknown name, is a 401 and no session", async () => {
    for (const [username, password] of [
      ["ada", "hopper"],
      ["nobody", "x"],
      ['"><script>', ""],
    ] as const) {
      const guest = visitor();
      const response = await signIn(guest, username, password);
      expect(response.status).toBe(401);
      expect(await response.text()).not.toContain("<script>");
      expect(guest.cookies.size).toBe(0);
    }
  });

  test("garbage cookies are a visitor without a session", async () => {
    const real = visitor();
    await post(real, "/cart", { item: "hat", quantity: "1" });
    const name = [...real.cookies.keys()][0]!;
    const token = real.cookies.get(name)!.value;
    const flipped = `${token.slice(0, -2)}${token.at(-2) === "A" ? "B" : "A"}${token.at(-1)}`;
    const values = ["", "x", "%E0%A4%A", token.slice(1), flipped, `${token}${token}`, "A".repeat(43), "A".repeat(8000)];
    const cookies = [
      ...values.map((value) => `${name}=${value}`),
      Array.from({ length: 40 }, (_, index) => `${name}=${"A".repeat(42)}${index % 10}`).join("; "),
      ";;;=;==; =x; \u0080\u00ff",
      `${name}`,
      `__proto__=1; constructor=2; ${name}=__proto__`,
    ];
    for (const cookie of cookies) {
      for (const path of ["/", "/cart", "/account"]) {
        const response = await visitor().fetch(path, { headers: { Cookie: cookie } });
        expect([path, cookie.slice(0, 60), [200, 303].includes(response.status)]).toEqual([
          path,
          cookie.slice(0, 60),
          true,
        ]);
        await response.body?.cancel();
      }
    }
    expect(await json(real, "/cart")).toMatchObject({ items: [{ sku: "hat", quantity: 1 }] });
  });

  test("a form of another site changes nothing", async () => {
    const victim = visitor();
    await post(victim, "/cart", { item: "hat", quantity: "1" });
    for (const headers of [
      { Origin: "https://evil.example" },
      { Origin: "null" },
      { "Sec-Fetch-Site": "cross-site" },
    ]) {
      const body = new URLSearchParams({ item: "hat", quantity: "9" });
      const response = await victim.fetch("/cart", {
        method: "POST",
        headers: headers as Record<string, string>,
        body,
      });
      expect(response.status).toBe(403);
    }
    expect(await json(victim, "/cart")).toMatchObject({ items: [{ sku: "hat", quantity: 1 }] });
  });

  test("pages that are not there, and addresses that cannot be read", async () => {
    expect((await fetch(`${shop.url}/nothing`)).status).toBe(404);
    expect(await json(visitor(), "/nothing")).toMatchObject({ status: 404, error: "not_found" });
    expect((await fetch(`${shop.url}/%E0%A4%A`)).status).toBeLessThan(500);
  });
});

describe("what goes over the wire", () => {
  test("the style sheet may be kept for good, and has no session", async () => {
    const page = await (await fetch(`${shop.url}/`)).text();
    const path = /href="(\/style-[^"]+\.css)"/.exec(page)?.[1];
    const response = await fetch(`${shop.url}${path}`);
    expect(response.headers.get("Content-Type")).toContain("text/css");
    expect(response.headers.get("Cache-Control")).toContain("immutable");
    expect(response.headers.get("Vary")).toBeNull();
  });

  test("/healthz looks at no session", async () => {
    const agent = visitor();
    await signIn(agent);
    const response = await agent.fetch("/healthz");
    expect(await response.text()).toBe("ok");
    expect(response.headers.get("Vary")).toBeNull();
    expect(response.headers.getSetCookie()).toEqual([]);
  });

  test("a look around sets no cookie; pages vary, are not kept, and run no script", async () => {
    const guest = visitor();
    for (const path of ["/", "/cart", "/login"]) {
      const response = await guest.fetch(path);
      expect(await response.text()).toContain("no session yet");
      expect(response.headers.getSetCookie()).toEqual([]);
      expect(response.headers.get("Cache-Control")).toBe("no-store");
      expect(response.headers.get("Vary")).toMatch(/Accept/);
      expect(response.headers.get("Vary")).toMatch(/Cookie/);
      expect(response.headers.get("Content-Security-Policy")).toContain("default-src 'none'");
    }
    const account = await guest.fetch("/account");
    expect([account.status, account.headers.get("Location")]).toEqual([303, "/login"]);
  });
});
