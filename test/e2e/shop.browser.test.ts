import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureBuilt } from "./built.ts";
import { freePort, startShop, temporaryData, type ShopProcess } from "./shop-process.ts";

const executable = [process.env["CHROMIUM_PATH"], "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== undefined && existsSync(path),
);
const required = process.env["REQUIRE_SERVERS"] === "1";
const title = "the shop in Chromium";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const screenshots = process.env["SCREENSHOT_DIR"] || join(tmpdir(), "coatcheck-screenshots");
const DESKTOP = { viewport: { width: 1200, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true };

if (executable === undefined && required) {
  test(`${title} needs a Chromium, because REQUIRE_SERVERS=1`, () => {
    expect.fail("no Chromium at CHROMIUM_PATH, /usr/bin/chromium or /usr/bin/chromium-browser");
  });
}

describe.skipIf(executable === undefined)(executable === undefined ? `${title} (skipped: no chromium)` : title, () => {
  let browser: Browser;
  let shop: ShopProcess;
  let port: number;
  let data: Awaited<ReturnType<typeof temporaryData>>;
  /** What the pages complained about: a style refused by the policy, a broken link. */
  const complaints: string[] = [];

  beforeAll(async () => {
    await ensureBuilt();
    await mkdir(screenshots, { recursive: true });
    data = await temporaryData();
    port = await freePort();
    [shop, browser] = await Promise.all([
      startShop({ port, dataDir: data.dataDir }),
      chromium.launch({ executablePath: executable!, args: ARGUMENTS }),
    ]);
  });

  afterAll(async () => {
    await browser?.close();
    await data?.cleanUp();
  });

  async function open(options: BrowserContextOptions = DESKTOP): Promise<Page> {
    const context = await browser.newContext({ baseURL: shop.url, ...options });
    context.setDefaultTimeout(5000);
    const page = await context.newPage();
    page.on("console", (message) => {
      // A status of 401 is reported as an error too.
      if (message.type() === "error" && !message.text().includes("401")) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    return page;
  }

  async function picture(page: Page, name: string): Promise<void> {
    await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), `${name} fits`).toBe(true);
  }

  async function sessionCookie(context: BrowserContext): Promise<string> {
    const cookies = await context.cookies();
    expect(cookies).toEqual([expect.objectContaining({ httpOnly: true, sameSite: "Lax", path: "/", expires: -1 })]);
    return cookies[0]!.value;
  }

  async function signIn(page: Page, password = "lovelace"): Promise<void> {
    await page.goto("/login");
    await page.getByLabel("Username").fill("ada");
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  }

  test("the walk: cart, sign in, restart, sign out", async () => {
    const page = await open();
    const context = page.context();
    await page.goto("/");
    expect(await page.locator("footer").textContent()).toContain("no session yet");
    await picture(page, "catalogue");

    await page.getByLabel("How many of Lambswool scarf").fill("2");
    await page.getByRole("button", { name: "Add Lambswool scarf to the cart" }).click();
    await page.waitForURL("/cart");
    await page.goto("/");
    await page.getByRole("button", { name: "Add Trench coat to the cart" }).click();
    await page.waitForURL("/cart");
    expect(await page.getByRole("status").textContent()).toBe("Trench coat: 1 put into the cart.");
    expect(await page.getByRole("row", { name: "Total" }).textContent()).toContain("€367.00");
    await picture(page, "cart");

    const guestToken = await sessionCookie(context);
    await page.getByRole("link", { name: "Sign in", exact: true }).click();
    await picture(page, "login");
    await signIn(page, "wrong");
    expect(await page.getByRole("alert").textContent()).toContain("do not belong together");
    await picture(page, "login-refused");

    await signIn(page);
    await page.waitForURL("/account");
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Hello, ada");
    expect(await page.getByRole("status").textContent()).toBe("Welcome, ada.");
    await picture(page, "account");
    const token = await sessionCookie(context);
    expect(token).not.toBe(guestToken);
    await page.goto("/cart");
    expect(await page.getByRole("row", { name: "Lambswool scarf" }).textContent()).toContain("€118.00");

    await shop.stop("SIGTERM");
    shop = await startShop({ port, dataDir: data.dataDir });
    await page.goto("/account");
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Hello, ada");

    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL("/");
    expect(await page.locator("footer").textContent()).toContain("no session yet");
    expect(await context.cookies()).toEqual([]);
    await page.goBack();
    await page.goto("/account");
    expect(new URL(page.url()).pathname).toBe("/login");

    const thief = await open();
    for (const value of [guestToken, token]) {
      await thief.context().addCookies([{ name: "shop", value, url: shop.url }]);
      await thief.goto("/account");
      expect(new URL(thief.url()).pathname).toBe("/login");
    }
    await Promise.all([context.close(), thief.context().close()]);
  });

  test("a phone and a desk: each sees the other, and one signs the other out", async () => {
    const [phone, desk] = await Promise.all([open(PHONE), open({ ...DESKTOP, colorScheme: "dark" })]);
    for (const [page, name] of [
      [phone, "phone"],
      [desk, "dark"],
    ] as const) {
      await page.goto("/");
      await picture(page, `catalogue-${name}`);
      await page.getByRole("button", { name: "Add Felt hat to the cart" }).click();
      await page.waitForURL("/cart");
      await picture(page, `cart-${name}`);
      await page.goto("/login");
      await picture(page, `login-${name}`);
      await signIn(page);
      await page.waitForURL("/account");
      await picture(page, `account-${name}`);
    }
    const other = desk.getByRole("button", { name: "Sign out session" });
    expect(await other.count()).toBe(1);
    await other.click();
    await desk.waitForURL("/account");
    expect(await desk.getByRole("status").textContent()).toBe("Signed out there.");
    await phone.goto("/account");
    expect(new URL(phone.url()).pathname).toBe("/login");
    await Promise.all([phone.context().close(), desk.context().close()]);
  });

  test("works by keyboard, and begins with a way past the navigation", async () => {
    const page = await open();
    await page.goto("/");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await page.goto("/login");
    await page.locator("#username:focus").waitFor();
    await page.keyboard.type("ada");
    await page.keyboard.press("Tab");
    await page.keyboard.type("lovelace");
    await page.keyboard.press("Enter");
    await page.waitForURL("/account");
    await page.context().close();
  });

  test("a form on another site changes nothing", async () => {
    const page = await open();
    await page.goto("/");
    await page.getByRole("button", { name: "Add Felt hat to the cart" }).click();
    await page.waitForURL("/cart");
    const seen = complaints.length;
    await page.goto("about:blank");
    await page.setContent(
      `<form method="post" action="${shop.url}/cart"><input name="item" value="boots"><button>Win</button></form>`,
    );
    await page.getByRole("button").click();
    await page.waitForURL(`${shop.url}/cart`);
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("Not from there");
    complaints.splice(seen);
    await page.goto("/cart");
    expect(await page.getByRole("row", { name: "boots" }).count()).toBe(0);
    expect(await page.getByRole("row", { name: "Felt hat" }).count()).toBe(1);
    await page.context().close();
  });

  test("no page had anything to complain about", () => {
    expect(complaints).toEqual([]);
  });
});
