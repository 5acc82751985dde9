import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithServers, SERVERS_REQUIRED } from "../servers/require.ts";
import { until } from "../servers/server-process.ts";
import { ensureBuilt } from "./built.ts";
import { startDemo, type DemoProcess } from "./demo-process.ts";

const executable = [process.env["CHROMIUM_PATH"], "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== undefined && existsSync(path),
);
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
];
const screenshots = process.env["SCREENSHOT_DIR"] || join(tmpdir(), "coatcheck-screenshots");
const DESKTOP = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true };
/** A machine that does other things too. */
const PATIENCE_MS = 150_000;

const title = "the control room in Chromium";
if (executable === undefined && !SERVERS_REQUIRED) test.skip(`${title} (skipped: no chromium)`, () => {});
else describeWithServers(title, ["haproxy", "redis-server"], defineTests);

function defineTests(): void {
  let browser: Browser;
  let demo: DemoProcess;
  const complaints: string[] = [];

  beforeAll(async () => {
    expect(executable, "a Chromium at CHROMIUM_PATH or /usr/bin").toBeDefined();
    await ensureBuilt();
    await mkdir(screenshots, { recursive: true });
    [demo, browser] = await Promise.all([
      startDemo(),
      chromium.launch({ executablePath: executable!, args: ARGUMENTS }),
    ]);
  }, PATIENCE_MS);

  afterAll(async () => {
    await browser?.close();
    await demo?.stop("SIGTERM");
  });

  async function open(options: BrowserContextOptions): Promise<Page> {
    const context = await browser.newContext({ baseURL: demo.url, ...options });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    page.on("console", (message) => {
      // The shop's sign-in page is in a frame here, where a browser does not let it take the focus, and says so.
      if (message.type() === "error" && !message.text().includes("autofocusing")) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.goto("/");
    return page;
  }

  async function picture(page: Page, name: string): Promise<void> {
    const before = page.viewportSize() ?? DESKTOP.viewport;
    // A frame that is out of sight is not painted.
    const height = Number(await page.evaluate("document.documentElement.scrollHeight"));
    await page.setViewportSize({ ...before, height });
    const shop = page.frameLocator("iframe").locator("h1");
    await shop.waitFor();
    await shop.evaluate("new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))");
    await page.screenshot({ path: join(screenshots, `${name}.png`) });
    await page.setViewportSize(before);
    expect(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), `${name} fits`).toBe(true);
  }

  test(
    "a server is killed and one paused under twenty visitors: nobody is signed out, nothing is lost",
    {
      timeout: 2 * PATIENCE_MS,
    },
    async () => {
      const page = await open(DESKTOP);
      const figure = async (name: string): Promise<number> =>
        Number(await page.locator(`[data-tally="${name}"]`).textContent());
      const press = (name: string): Promise<void> => page.getByRole("button", { name, exact: true }).click();
      const state = (name: string): Promise<string | null> =>
        page.locator(`.server[data-server="${name}"] [data-of="state"]`).textContent();
      const log = page.getByRole("log");
      const becomes = (name: string, wanted: string): Promise<void> =>
        until(`${name} ${wanted}`, async () => (await state(name)) === wanted, PATIENCE_MS);

      await press("Send 20 visitors");
      await log.getByText("20 visitors come").waitFor();
      await until("visitors", async () => Number(await page.locator("#here").textContent()) >= 5, PATIENCE_MS);

      await press("Kill server a");
      await becomes("a", "killed");
      await log.getByText("HAProxy leaves a out").waitFor();
      await press("Pause server b");
      await becomes("b", "paused");
      await log.getByText("HAProxy leaves b out").waitFor();
      expect(await page.getByRole("button", { name: "Kill server a" }).isDisabled()).toBe(true);
      await picture(page, "fleet-killed-and-paused");

      await press("Revive server a");
      await press("Revive server b");
      await becomes("b", "running");
      await becomes("a", "running");
      await log.getByText("HAProxy sends requests to a again").waitFor();
      await press("Drain server c");
      await log.getByText("HAProxy sends nothing new to c").waitFor();
      await press("Revive server c");
      await log.getByText("HAProxy sends requests to c again").waitFor();

      await log.getByText("All visitors have left").waitFor({ timeout: PATIENCE_MS });
      await picture(page, "fleet");
      await until("the figures", async () => (await figure("left")) === 20);
      const names = ["signedOut", "lost", "doubled", "undead", "gaveUp"];
      const figures = await Promise.all(names.map(async (name) => [name, await figure(name)]));
      expect(Object.fromEntries(figures)).toEqual({ signedOut: 0, lost: 0, doubled: 0, undead: 0, gaveUp: 0 });
      expect(await log.textContent()).toContain("Signed out by accident: 0. Updates lost: 0.");
      expect(await page.locator("#requests rect[data-server]").count()).toBeGreaterThan(10);
      expect(await page.locator("#ages rect.oldest").count(), "copies were served").toBeGreaterThan(10);
      expect(await page.locator("#requests").getAttribute("aria-label")).toContain("In the last second: a ");
      await page.context().close();
    },
  );

  test("the shop in its frame signs in, and says which server answered", async () => {
    const page = await open({ ...DESKTOP, colorScheme: "dark" });
    const shop = page.frameLocator("iframe");
    await shop.getByRole("link", { name: "Sign in", exact: true }).click();
    await shop.getByLabel("Username").fill("ada");
    await shop.getByLabel("Password").fill("lovelace");
    await shop.getByRole("button", { name: "Sign in" }).click();
    await shop.getByRole("heading", { name: "Hello, ada" }).waitFor();
    expect(await shop.locator("footer").textContent()).toMatch(/server [abc][\s\S]*share one Redis/);
    await picture(page, "fleet-dark");
    await page.context().close();
  });

  test("fits a telephone, and works without scripts", async () => {
    const page = await open({ ...PHONE, javaScriptEnabled: false });
    await page.getByRole("button", { name: "Pause server c" }).click();
    await page.waitForURL("/");
    expect(await page.locator('.server[data-server="c"] [data-of="state"]').textContent()).toBe("paused");
    await page.context().close();
    const scripted = await open(PHONE);
    await picture(scripted, "fleet-phone");
    await scripted.context().close();
  });

  test("no other site can press its buttons, and no name but its own leads to it", async () => {
    const headers = { "Sec-Fetch-Site": "cross-site" };
    const foreign = await fetch(`${demo.url}/servers/a/kill`, { method: "POST", headers, redirect: "manual" });
    expect(foreign.status).toBe(403);
    expect(complaints).toEqual([]);
  });

  test("Ctrl-C ends all of it, a paused server included, and leaves no file", async () => {
    const page = await (await fetch(demo.url)).text();
    const ports = [...page.matchAll(/port (\d+)/g)].map(([, port]) => Number(port));
    expect(ports).toHaveLength(3);
    const ending = await demo.stop("SIGINT");
    expect(ending).toMatchObject({ code: 0, left: [] });
    const all = [...ports, ...[demo.url, demo.shopUrl].map((url) => Number(new URL(url).port))];
    expect(await Promise.all(all.map(accepts))).toEqual(all.map(() => false));
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => [socket.destroy(), resolve(true)]);
    socket.once("error", () => resolve(false));
  });
}
