import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sessionAgent, type SessionAgent } from "coatcheck/testing";
import { ensureBuilt } from "./built.ts";
import { json, post, signIn } from "./shop-client.ts";
import { failToStart, freePort, startShop, temporaryData, type ShopProcess } from "./shop-process.ts";

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

  test("who clicks twice to sign in has the cart, whichever answer counts", async () => {
    const guest = visitor();
    await post(guest, "/cart", { item: "hat", quantity: "1" });
    const clicks = [guest.clone(), guest.clone()];
    await Promise.all(clicks.map((click) => signIn(click)));
    for (const click of clicks) {
      expect(await json(click, "/account")).toMatchObject({ subject: "ada" });
      expect(await json(click, "/cart")).toMatchObject({ items: [{ sku: "hat", quantity: 1 }] });
    }
    expect(await json(guest, "/account")).toMatchObject({ status: 401 });
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

  test("so are sessions that cannot be read", async () => {
    const { dataDir, cleanUp } = await temporaryData();
    await writeFile(join(dataDir, "sessions.db"), "this is not a database, however long one looks at it ".repeat(100));
    const { code, output } = await failToStart({ port: await freePort(), dataDir });
    expect(code).toBe(1);
    expect(output.trim()).toMatch(/^The shop cannot open with its data in .+: .+$/);
    await cleanUp();
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
