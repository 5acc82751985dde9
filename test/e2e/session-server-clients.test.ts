import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { defineSession } from "coatcheck";
import { withSessions } from "coatcheck/node";
import { remoteStore } from "coatcheck/store/remote";
import { sessionAgent } from "../../src/testing/session-agent.ts";
import { blocksIn, ROOT } from "../package/docs.ts";
import { programPath, SERVERS_REQUIRED } from "../servers/require.ts";
import { startSessionServer, type TestSessionServer } from "../servers/session-server.ts";

let server: TestSessionServer;
beforeAll(async () => {
  server = await startSessionServer({ credentials: [{ application: "shop" }, { application: "bank" }] });
});
afterAll(() => server.stop());

const credential = (application: string): string => server.credentials[application] ?? "";

async function ask(path: string, init: RequestInit & { readonly token?: string } = {}): Promise<Response> {
  const { token, ...rest } = init;
  const headers = {
    Authorization: `Bearer ${credential("shop")}`,
    "Content-Type": "application/json",
    ...(token !== undefined && { "Session-Token": token }),
  };
  return await fetch(`${server.url}/v1/sessions/user${path}`, { ...rest, headers });
}

const DOCUMENT = "docs/session-server.md";

describe("the clients of the documentation", () => {
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-clients-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** The one block of a language that talks to the API. */
  function clientIn(info: string): string {
    const blocks = blocksIn(DOCUMENT, readFileSync(join(ROOT, DOCUMENT), "utf8"), info);
    const clients = blocks.filter(({ code }) => code.includes("/v1/sessions/user"));
    expect(clients).toHaveLength(1);
    return clients[0]?.code ?? "";
  }

  const LANGUAGES = [
    { info: "python", program: "python3", file: "client.py", args: [], required: true },
    { info: "sh", program: "curl", run: "sh", file: "client.sh", args: ["-eu"], required: true },
    { info: "go", program: "go", file: "client.go", args: ["run"], required: false },
    { info: "java", program: "java", file: "Client.java", args: [], required: false },
  ] as const;

  /** All at once: most of the time their compilers start. */
  const outputs = new Map<string, Promise<string>>();
  const isMissing = (program: string): boolean => programPath(program) === undefined;
  beforeAll(() => {
    for (const language of LANGUAGES.filter(({ program }) => !isMissing(program))) {
      const output = outputOf(language);
      output.catch(() => {});
      outputs.set(language.program, output);
    }
  });

  async function outputOf({ info, file, args, ...rest }: (typeof LANGUAGES)[number]): Promise<string> {
    writeFileSync(join(folder, file), clientIn(info));
    const env = {
      ...process.env,
      COATCHECK_URL: server.url,
      COATCHECK_CREDENTIAL: credential("shop"),
      // Where `go run` keeps what it has compiled, for users without a home.
      GOCACHE: process.env["GOCACHE"] ?? join(tmpdir(), "coatcheck-go-cache"),
    };
    const command = "run" in rest ? rest.run : rest.program;
    return (await promisify(execFile)(command, [...args, join(folder, file)], { cwd: folder, env })).stdout;
  }

  for (const { program, required } of LANGUAGES) {
    const title = `${program}: begins, reads, changes with If-Match, signs out`;
    if (isMissing(program) && !(required && SERVERS_REQUIRED))
      test.skip(`${title} (skipped: needs ${program})`, () => {});
    else {
      test(title, { timeout: 120_000 }, async () => {
        const output = await outputs.get(program);
        expect(output).toMatch(/ada/);
        expect(output).toMatch(/"visits":2|^ada 2$/m);
      });
    }
  }

  test("leave no session behind", async () => {
    await Promise.allSettled(outputs.values());
    expect(await (await ask("?subject=ada")).json()).toEqual({ sessions: [] });
  });
});

describe("a session is shared", () => {
  interface Data {
    name?: string;
    cart?: string[];
  }
  const stop: (() => Promise<unknown>)[] = [];
  afterAll(async () => {
    for (const end of stop) await end();
  });

  /** An application of TypeScript: `/login?subject`, `/add?thing`, `/`. */
  async function application(): Promise<string> {
    const store = remoteStore(server.url, { credential: credential("shop") });
    const user = defineSession<Data>({ name: "user", store });
    const app = createServer(
      withSessions(async (req, res) => {
        const { pathname, searchParams } = new URL(req.url ?? "/", "http://localhost");
        const session = await user.from(req);
        if (pathname === "/login") session.authenticate(searchParams.get("subject") ?? "");
        const thing = searchParams.get("thing");
        if (thing !== null) session.update((data) => ({ ...data, cart: [...(data?.cart ?? []), thing] }));
        if (pathname === "/logout") session.destroy();
        await session.commit();
        const { id, subject, data } = session;
        res.end(JSON.stringify({ id, subject: subject ?? null, data: data ?? {} }));
      }, user),
    );
    app.listen(0, "127.0.0.1");
    await once(app, "listening");
    stop.push(async () => {
      app.close();
      app.closeAllConnections();
      await store.close?.();
    });
    return `http://localhost:${(app.address() as AddressInfo).port}`;
  }

  test("between an application of TypeScript with a cookie and the JSON API, both ways", async () => {
    const url = await application();
    const agent = sessionAgent(url);
    const visit = async (path: string): Promise<unknown> => await (await agent.fetch(path)).json();

    await agent.fetch("/login?subject=grace");
    const token = agent.cookies.get("user")?.value ?? "";
    const seen = (await (await ask("/current", { token })).json()) as { id: string };
    expect(seen).toMatchObject({ subject: "grace", data: {} });

    const body = JSON.stringify({ data: { name: "Grace", cart: ["tea"] } });
    expect((await ask("/current", { method: "PATCH", token, body })).status).toBe(200);
    expect(await visit("/")).toEqual({ id: seen.id, subject: "grace", data: { name: "Grace", cart: ["tea"] } });
    await visit("/?thing=cup");
    expect(await (await ask("/current", { token })).json()).toMatchObject({
      data: { name: "Grace", cart: ["tea", "cup"] },
    });

    expect((await ask("/current", { method: "DELETE", token })).status).toBe(204);
    expect(await visit("/")).toMatchObject({ subject: null, data: {} });
  });

  test("by a cookie that the other application sets, with the token that the JSON API gave out", async () => {
    const url = await application();
    const begun = await ask("", {
      method: "POST",
      body: JSON.stringify({ data: { cart: ["pot"] }, subject: "linus" }),
    });
    const cookie = `user=${begun.headers.get("Session-Token")}`;
    const seen: unknown = await (await fetch(url, { headers: { cookie } })).json();
    expect(seen).toMatchObject({ subject: "linus", data: { cart: ["pot"] } });
    await fetch(`${url}/logout`, { headers: { cookie } });
    expect((await ask("/current", { token: begun.headers.get("Session-Token") ?? "" })).status).toBe(404);
  });

  test("with nobody else: another application has another namespace", async () => {
    const begun = await ask("", { method: "POST", body: JSON.stringify({ subject: "ken" }) });
    const headers = {
      Authorization: `Bearer ${credential("bank")}`,
      "Session-Token": begun.headers.get("Session-Token") ?? "",
    };
    expect((await fetch(`${server.url}/v1/sessions/user/current`, { headers })).status).toBe(404);
    const others: unknown = await (await fetch(`${server.url}/v1/sessions/user?subject=ken`, { headers })).json();
    expect(others).toEqual({ sessions: [] });
  });
});
