import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sessionAgent, type SessionAgent } from "coatcheck/testing";
import { ensureBuilt } from "./built.ts";
import { failToStart, freePort, patiently, startShop, temporaryData, type ShopProcess } from "./shop-process.ts";

const JSON_HEADERS = { Accept: "application/json" };

let shop: ShopProcess;
let port: number;
let data: Awaited<ReturnType<typeof temporaryData>>;

beforeAll(async () => {
  await ensureBuilt();
  data = await temporaryData();
  port = await freePort();
  shop = await startShop({ port, dataDir: data.dataDir });
});

afterAll(async () => await data.cleanUp());

async function json(agent: SessionAgent, path: string): Promise<Record<string, unknown>> {
  const response = await patiently(() => agent.fetch(path, { headers: JSON_HEADERS }));
  return { status: response.status, ...((await response.json()) as object) };
}

async function post(agent: SessionAgent, path: string, fields: Record<string, string> = {}): Promise<Response> {
  return await agent.fetch(path, { method: "POST", body: new URLSearchParams(fields) });
}

async function signIn(agent: SessionAgent, username = "ada", password = "lovelace"): Promise<Response> {
  return await post(agent, "/login", { username, password });
}

function visitor(): SessionAgent {
  return sessionAgent(shop.url);
}

describe("the walk of a customer", () => {
  test("fills a cart, signs in, still has it, survives a restart, signs out, and is out", async () => {
    const guest = visitor();
    const { items } = (await json(guest, "/")) as unknown as { items: { sku: string; name: string; price: number }[] };
    expect(items.length).toBeGreaterThan(3);
    expect(guest.cookies.size).toBe(0);

    const [first, second] = items;
    const added = await post(guest, "/cart", { item: first!.sku, quantity: "2" });
    expect([added.status, added.headers.get("Location")]).toEqual([303, "/cart"]);
    await post(guest, "/cart", { item: second!.sku, quantity: "1" });
    const cart = {
      status: 200,
      items: [
        { sku: first!.sku, quantity: 2 },
        { sku: second!.sku, quantity: 1 },
      ],
      total: 2 * first!.price + second!.price,
    };
    expect(await json(guest, "/cart")).toEqual(cart);
    expect(await json(guest, "/account")).toMatchObject({ status: 401 });

    const before = guest.clone();
    const signedIn = await signIn(guest);
    expect([signedIn.status, signedIn.headers.get("Location")]).toEqual([303, "/account"]);
    expect(guest.cookieHeader()).not.toBe(before.cookieHeader());
    expect(await json(guest, "/cart")).toEqual(cart);

    const account = await json(guest, "/account");
    expect(account).toEqual({
      status: 200,
      subject: "ada",
      sessionId: expect.stringMatching(/^[\w-]{22}$/),
      worker: expect.any(Number),
      visits: 1,
      createdAt: expect.any(Number),
      expiresAt: expect.any(Number),
    });
    expect(Number(account["expiresAt"]) - Date.now()).toBeGreaterThan(29 * 60_000);
    expect(await json(before, "/account")).toMatchObject({ status: 401 });
    expect(await json(before, "/cart")).toMatchObject({ items: [] });

    expect(await shop.stop("SIGTERM")).toMatchObject({ code: 0 });
    shop = await startShop({ port, dataDir: data.dataDir });
    expect(await json(guest, "/account")).toMatchObject({ subject: "ada", sessionId: account["sessionId"], visits: 2 });
    expect(await json(guest, "/cart")).toEqual(cart);

    const kept = guest.clone();
    const out = await post(guest, "/logout");
    expect([out.status, out.headers.get("Location")]).toEqual([303, "/"]);
    expect(guest.cookies.size).toBe(0);
    for (const agent of [guest, kept, before]) {
      expect(await json(agent, "/account")).toMatchObject({ status: 401 });
      expect(await json(agent, "/cart")).toMatchObject({ items: [], total: 0 });
    }
  });

  test("sees the own devices and signs one out, and nobody else's", async () => {
    const [desk, phone, grace] = [visitor(), visitor(), visitor()];
    await Promise.all([signIn(desk), signIn(phone), signIn(grace, "grace", "hopper")]);
    const idOf = async (agent: SessionAgent): Promise<string> => String((await json(agent, "/account"))["sessionId"]);

    const page = await (await desk.fetch("/account")).text();
    expect(page).toContain(await idOf(phone));
    expect(page).not.toContain(await idOf(grace));

    expect((await post(desk, "/account/revoke", { id: await idOf(grace) })).status).toBe(404);
    expect(await json(grace, "/account")).toMatchObject({ subject: "grace" });

    expect((await post(desk, "/account/revoke", { id: await idOf(phone) })).status).toBe(303);
    expect(await json(phone, "/account")).toMatchObject({ status: 401 });
    expect(await json(desk, "/account")).toMatchObject({ subject: "ada" });

    expect((await post(desk, "/account/revoke", { id: await idOf(desk) })).status).toBe(303);
    expect(await json(desk, "/account")).toMatchObject({ status: 401 });
  });

  test("is told once what happened", async () => {
    const guest = visitor();
    await post(guest, "/cart", { item: "hat", quantity: "1" });
    expect(await (await guest.fetch("/cart")).text()).toContain("Felt hat: 1 put into the cart.");
    expect(await (await guest.fetch("/cart")).text()).not.toContain("put into the cart");
    await post(guest, "/cart", { item: "scarf", quantity: "1" });
    await post(guest, "/cart/remove", { item: "scarf" });
    const page = await (await guest.fetch("/cart")).text();
    expect(page).toContain("taken out of the cart");
    expect(page).not.toContain("put into the cart");
    await post(guest, "/cart/remove", { item: "hat" });
    expect(await (await guest.fetch("/cart")).text()).toContain("Your cart is empty");
  });
});

describe("two workers", () => {
  test("40 parallel changes of one session over both lose nothing", async () => {
    const guest = visitor();
    await post(guest, "/cart", { item: "hanger", quantity: "1" });
    const workers = new Set<string | null>();
    let rounds = 0;
    // A busy machine may let one worker answer a whole round.
    while (workers.size < 2 && rounds < 10) {
      rounds++;
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) =>
          post(guest.clone(), "/cart", { item: index % 2 === 0 ? "hanger" : "brush", quantity: "1" }),
        ),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([303]));
      for (const { headers } of answers) workers.add(headers.get("X-Worker"));
    }
    expect(workers.size).toBe(2);
    expect((await json(guest, "/cart"))["items"]).toEqual([
      { sku: "hanger", quantity: 1 + 20 * rounds },
      { sku: "brush", quantity: 20 * rounds },
    ]);
  });

  test("killing one of them loses nobody, and another takes its place", async () => {
    const customers = [visitor(), visitor()];
    for (const customer of customers) {
      await post(customer, "/cart", { item: "boots", quantity: "3" });
      await signIn(customer);
    }
    const before = await shop.workers();
    expect(before.size).toBe(2);
    const [victim, survivor] = [...before];
    process.kill(victim!, "SIGKILL");

    for (const customer of customers) {
      expect(await json(customer, "/account")).toMatchObject({ subject: "ada" });
      expect(await json(customer, "/cart")).toMatchObject({ items: [{ sku: "boots", quantity: 3 }] });
    }
    await expect.poll(() => shop.output(), { timeout: 5000 }).toContain("has taken over");
    const after = await shop.workers();
    expect(after.size).toBe(2);
    expect(after).toContain(survivor);
    expect(after).not.toContain(victim);
  });
});

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

describe("opening and closing", () => {
  test("a port in use is one clear sentence and exit code 1", async () => {
    const { code, output } = await failToStart({ port, dataDir: data.dataDir });
    expect(code).toBe(1);
    expect(output.trim()).toBe(`Port ${port} is in use. Choose another: PORT=${port + 1} npm start`);
  });

  test("so is a data directory that cannot be one", async () => {
    const { code, output } = await failToStart({ port: await freePort(), dataDir: "/dev/null/data" });
    expect(code).toBe(1);
    expect(output.trim()).toMatch(/^The shop cannot open with its data in \/dev\/null\/data: .+$/);
  });

  test("Ctrl-C lets a request under way finish, and exits with 0 within 5 s", async () => {
    const agent = visitor();
    await post(agent, "/cart", { item: "hat", quantity: "1" });
    const underWay = signIn(agent);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const ending = await shop.stop("SIGINT");
    expect((await underWay).status).toBe(303);
    expect(ending.code).toBe(0);
    expect(ending.ms).toBeLessThan(5000);
    await expect(fetch(shop.url)).rejects.toThrow();

    shop = await startShop({ port, dataDir: data.dataDir });
    expect(await json(agent, "/account")).toMatchObject({ subject: "ada" });
  });
});
