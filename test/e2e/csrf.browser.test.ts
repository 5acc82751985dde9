/* oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 awaits its handlers */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type ErrorRequestHandler } from "express";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { cookie, defineSession, type SessionDefinition } from "coatcheck";
import { csrf, CsrfError, type CsrfReason } from "coatcheck/csrf";
import { sessions } from "coatcheck/express";
import { memoryStore } from "coatcheck/store/memory";

const executable = [process.env["CHROMIUM_PATH"], "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== undefined && existsSync(path),
);
const required = process.env["REQUIRE_SERVERS"] === "1";
const title = "the CSRF guard in Chromium";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP *.example 127.0.0.1, MAP *.localhost 127.0.0.1",
];

if (executable === undefined && required) {
  test(`${title} needs a Chromium, because REQUIRE_SERVERS=1`, () => {
    expect.fail("no Chromium at CHROMIUM_PATH, /usr/bin/chromium or /usr/bin/chromium-browser");
  });
}

interface User {
  readonly email: string;
}

/** A shop where an e-mail address can be changed, behind a guard and, to show what it is good for, without. */
function shop(
  user: SessionDefinition<User>,
  refused: CsrfReason[],
  trustedOrigins: readonly string[],
): RequestListener {
  const guard = csrf({ session: user, trustedOrigins, onRefused: ({ reason }) => refused.push(reason) });
  const app = express();
  app.use(sessions(user), express.urlencoded({ extended: false }));
  app.get("/", (_req, res) => {
    res.type("html").send(form("/guarded"));
  });
  app.get("/email", async (req, res) => {
    const session = await user.from(req);
    res.json({ subject: session.subject ?? null, email: session.data?.email ?? null });
  });
  for (const [path, handlers] of [
    ["/guarded", [guard]],
    ["/unguarded", []],
  ] as const) {
    app.all(path, ...handlers, async (req, res) => {
      const session = await user.from(req);
      if (session.subject === undefined) session.authenticate("mallory");
      session.set({ email: String((req.body as { email?: unknown } | undefined)?.email) });
      res.send("changed");
    });
  }
  app.post("/login", async (req, res) => {
    (await user.from(req)).authenticate("ada");
    res.redirect(303, "/");
  });
  app.use(((error, _req, res, next) => {
    if (error instanceof CsrfError) res.status(error.status).send("refused");
    else next(error);
  }) as ErrorRequestHandler);
  return app as unknown as RequestListener;
}

function form(action: string): string {
  return `<form method="post" action="${action}"><input name="email" value="x@evil.example"><button>Go</button></form>`;
}

/** A server of pages that post to wherever they are told to. */
const attacker: RequestListener = (req, res) => {
  const asked = new URL(req.url ?? "/", "http://attacker");
  res.setHeader("Content-Type", "text/html");
  res.setHeader("Referrer-Policy", asked.searchParams.get("policy") ?? "strict-origin-when-cross-origin");
  res.end(form(asked.searchParams.get("action") ?? ""));
};

async function listening(handler: RequestListener): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

/** `localhost` is what browsers trust, so they say `Sec-Fetch-Site` there; on plain http elsewhere they say `Origin` only. */
const WORLDS = [
  {
    tld: "localhost",
    says: "Sec-Fetch-Site",
    refusals: { sibling: "same-site", foreign: "cross-site", opaque: "cross-site" },
  },
  { tld: "example", says: "Origin", refusals: { sibling: "origin", foreign: "origin", opaque: "null-origin" } },
] as const;

describe.skipIf(executable === undefined)(executable === undefined ? `${title} (skipped: no chromium)` : title, () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: executable!, args: ARGUMENTS });
  });
  afterAll(async () => {
    await browser?.close();
  });

  describe.each(WORLDS)("on http://*.$tld, where it says $says", ({ tld, refusals }) => {
    const servers: Server[] = [];
    const refused: CsrfReason[] = [];
    let page: Page;
    let own: string;
    let elsewhere: number;

    beforeAll(async () => {
      const attacking = await listening(attacker);
      elsewhere = attacking.port;
      const user = defineSession<User>({ name: "user", store: memoryStore(), transport: cookie({ secure: false }) });
      const selling = await listening(shop(user, refused, [`http://admin.shop.${tld}:${elsewhere}`]));
      own = `http://shop.${tld}:${selling.port}`;
      servers.push(attacking.server, selling.server);
    });
    afterAll(async () => {
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => void server.close(resolve));
      }
    });

    beforeEach(async () => {
      refused.length = 0;
      const context = await browser.newContext();
      context.setDefaultTimeout(5000);
      page = await context.newPage();
      await page.goto(`${own}/`);
      await page.evaluate("fetch('/login', { method: 'POST' })");
      await page.goto(`${own}/`);
      return () => context.close();
    });

    /** Goes to a page elsewhere and sends its form. Returns the status of the answer. */
    async function attack(host: string, path = "/guarded", policy = ""): Promise<number> {
      const query = new URLSearchParams({ action: own + path, ...(policy && { policy }) });
      await page.goto(`http://${host}:${elsewhere}/?${query}`);
      return await send(path);
    }

    async function send(path: string): Promise<number> {
      const [response] = await Promise.all([
        page.waitForResponse((candidate) => candidate.url() === own + path && candidate.request().method() === "POST"),
        page.getByRole("button").click(),
      ]);
      await page.waitForLoadState();
      return response.status();
    }

    async function email(): Promise<unknown> {
      await page.goto(`${own}/email`);
      return JSON.parse((await page.textContent("body")) ?? "");
    }

    test("the shop's own form is accepted", async () => {
      expect(await send("/guarded")).toBe(200);
      expect(await email()).toEqual({ subject: "ada", email: "x@evil.example" });
      expect(refused).toEqual([]);
    });

    test("what the shop's own scripts send is accepted", async () => {
      const sent = "fetch('/guarded', { method: 'POST', body: new URLSearchParams({ email: 'ada@shop' }) })";
      expect(await page.evaluate(`${sent}.then((response) => response.status)`)).toBe(200);
      expect(await email()).toEqual({ subject: "ada", email: "ada@shop" });
    });

    test("a form on another site is refused; unguarded it would sign the visitor in as somebody else", async () => {
      expect(await attack(`evil.${tld}`)).toBe(403);
      expect(refused).toEqual([refusals.foreign]);
      expect(await email()).toEqual({ subject: "ada", email: null });
      expect(await attack(`evil.${tld}`, "/unguarded")).toBe(200);
      expect(await email()).toEqual({ subject: "mallory", email: "x@evil.example" });
    });

    test("a form on a sibling subdomain is refused; unguarded it would act as the visitor, whatever SameSite says", async () => {
      expect(await attack(`sub.shop.${tld}`)).toBe(403);
      expect(refused).toEqual([refusals.sibling]);
      expect(await email()).toEqual({ subject: "ada", email: null });
      expect(await attack(`sub.shop.${tld}`, "/unguarded")).toBe(200);
      expect(await email()).toEqual({ subject: "ada", email: "x@evil.example" });
    });

    test("a form on another port of the same host is refused", async () => {
      expect(await attack(`shop.${tld}`)).toBe(403);
      expect(refused).toEqual([refusals.sibling]);
      expect(await email()).toEqual({ subject: "ada", email: null });
    });

    test("a form whose page hides where it comes from is refused", async () => {
      expect(await attack(`evil.${tld}`, "/guarded", "no-referrer")).toBe(403);
      expect(refused).toEqual([refusals.opaque]);
    });

    test("a form in a sandboxed frame of the shop's own page is refused", async () => {
      await page.setContent(`<iframe sandbox="allow-forms" srcdoc='${form(`${own}/guarded`)}'></iframe>`);
      const [response] = await Promise.all([
        page.waitForResponse(`${own}/guarded`),
        page.frameLocator("iframe").getByRole("button").click(),
      ]);
      expect(response.status()).toBe(403);
      expect(refused).toEqual([refusals.opaque]);
    });

    test("a script on another site, which does not even want an answer, is refused", async () => {
      await page.goto(`http://evil.${tld}:${elsewhere}/`);
      const [response] = await Promise.all([
        page.waitForResponse(`${own}/guarded`),
        page.evaluate(`fetch('${own}/guarded', { method: 'POST', mode: 'no-cors', credentials: 'include' })`),
      ]);
      expect(response.status()).toBe(403);
      expect(refused).toEqual([refusals.foreign]);
    });

    test("a form on a trusted origin is accepted", async () => {
      expect(await attack(`admin.shop.${tld}`)).toBe(200);
      expect(await email()).toEqual({ subject: "ada", email: "x@evil.example" });
    });
  });
});
