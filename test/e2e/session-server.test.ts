import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { text as textOf } from "node:stream/consumers";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { certificates } from "../servers/certificates.ts";
import { MARIADB_PROGRAMS, startMariadb } from "../servers/mariadb.ts";
import { POSTGRES_PROGRAMS, startPostgresServer } from "../servers/postgres.ts";
import { rawConnection, rawRequest } from "../servers/raw-http.ts";
import { REDIS_PROGRAMS, startRedis } from "../servers/redis.ts";
import { describeWithServers } from "../servers/require.ts";
import { serverDirectory, until } from "../servers/server-process.ts";
import { startSessionServer, type TestSessionServer } from "../servers/session-server.ts";

const MAIN = new URL("../../src/cli/main.ts", import.meta.url).pathname;

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command to its end. */
async function coatcheck(directory: string, ...args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: directory, timeout: 20_000 });
  const [stdout, stderr] = [textOf(child.stdout), textOf(child.stderr)];
  const [code] = (await once(child, "close")) as [number | null];
  return { status: code, stdout: await stdout, stderr: await stderr };
}

function status(url: string, credential?: string): Promise<number> {
  const headers = credential === undefined ? {} : { Authorization: `Bearer ${credential}` };
  return fetch(url, { headers }).then((response) => response.status);
}

/** Waits until a server has said something. */
async function said(server: TestSessionServer, what: RegExp): Promise<void> {
  await until(String(what), async () => what.test(server.process.output()));
}

describe("coatcheck serve", () => {
  let server: TestSessionServer;
  beforeAll(async () => {
    server = await startSessionServer();
  });
  afterAll(() => server.stop());

  test("says where it listens, what it keeps, who it is for, and how to try it", () => {
    const lines = server.process.output().split("\n");
    expect(lines[0]).toBe(`coatcheck listens on ${server.url}`);
    expect(lines).toContain("  store         sqlite:coatcheck.db");
    expect(lines[2]).toMatch(/everybody on this machine.*no credentials/);
    expect(lines[3]).toContain("/healthz  /readyz  /metrics");
    expect(lines[4]).toContain(`curl -i ${server.url}/readyz`);
    expect(statSync(join(server.directory, "coatcheck.db")).mode & 0o777).toBe(0o600);
  });

  test("answers whoever is on this machine, and no page in a browser", async () => {
    expect(await status(`${server.url}/readyz`)).toBe(200);
    expect(await status(`${server.url}/v1/nothing`)).toBe(404);
    const page = await fetch(`${server.url}/readyz`, { headers: { Origin: "http://localhost:3000" } });
    expect(page.status).toBe(403);
    expect(await (await fetch(`${server.url}/metrics`)).text()).toMatch(/^process_resident_memory_bytes \d+$/m);
  });

  test("starts again where it was, once it was killed", async () => {
    const { url } = server;
    await server.kill();
    await server.restart();
    expect(server.url).toBe(url);
    expect(await status(`${url}/readyz`)).toBe(200);
  });

  test("leaves when it is told to: what is open is closed, and nothing is left to wait for", async () => {
    const connection = await rawConnection({ port: Number(new URL(server.url).port) });
    connection.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect((await connection.response()).status).toBe(200);
    await server.process.end();
    await connection.closed;
    expect(server.process.output()).toMatch(/SIGTERM.*\ncoatcheck: stopped\n$/);
  });
});

describe("coatcheck credential", () => {
  const directory = serverDirectory("credential");
  const file = join(directory, "coatcheck-credentials.json");
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("makes credentials that a server takes up and lets go of while it runs", async () => {
    const shop = await coatcheck(directory, "credential", "add", "--application", "shop");
    expect(shop.status, shop.stderr).toBe(0);
    expect(shop.stdout).toMatch(/^coatcheck_[A-Za-z0-9_-]{43}\n$/);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const server = await startSessionServer({ directory });
    const nothing = `${server.url}/v1/nothing`;
    expect(server.process.output()).toContain("1: shop, by coatcheck-credentials.json");
    expect([await status(nothing), await status(nothing, shop.stdout.trim())]).toEqual([401, 404]);

    const added = await coatcheck(directory, "credential", "add", "--application", "blog", "--namespace", "news");
    const blog = added.stdout.trim();
    const { stdout: listed } = await coatcheck(directory, "credential", "list");
    const id = /^(\w+) +shop +shop +2/m.exec(listed)?.[1] ?? "";
    expect(listed).toMatch(/^\w+ +blog +news +2/m);
    expect((await coatcheck(directory, "credential", "remove", id)).status).toBe(0);
    expect(await status(nothing, blog)).toBe(401);
    process.kill(server.process.pid, "SIGHUP");
    await said(server, /SIGHUP: coatcheck-credentials.json: 1 credentials/);
    expect([await status(nothing, shop.stdout.trim()), await status(nothing, blog)]).toEqual([401, 404]);

    writeFileSync(file, "{");
    process.kill(server.process.pid, "SIGHUP");
    await said(server, /kept as it was: .* is no file of credentials: it is no JSON/);
    expect(await status(nothing, blog)).toBe(404);
    expect(server.process.output()).not.toContain(blog.slice("coatcheck_".length));
    await server.stop();
  });
});

describe("coatcheck says what is wrong, and what to do", () => {
  const directory = serverDirectory("usage");
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const wrong: readonly (readonly [readonly string[], number, RegExp])[] = [
    [["serv"], 2, /There is no command serv\. Did you mean serve\?\ncoatcheck --help says more\.\n$/],
    [
      ["serve", "--stor", "x"],
      2,
      /There is no option --stor\. Did you mean --store\?\ncoatcheck serve --help says more/,
    ],
    [["serve", "--listen", "0.0.0.0:0"], 1, /takes credentials \(coatcheck credential add.*TLS \(--tls-cert/],
    [["serve", "--credentials", "none.json"], 1, /there is no none\.json\. Make it: coatcheck credential add/],
    [["serve", "--tls-cert", "a", "--tls-key", "b"], 1, /--tls-cert: a cannot be read/],
    [["serve", "--store", "redis://a:hidden@127.0.0.1:1"], 1, /The store redis:\/\/127\.0\.0\.1:1 cannot be used/],
  ];

  test("in words, by its status, and without a trace of where it was thrown", async () => {
    const endings = await Promise.all(wrong.map(([args]) => coatcheck(directory, ...args)));
    for (const [i, { status: code, stdout, stderr }] of endings.entries()) {
      const [args, expected, message] = wrong[i] ?? [[], 0, /./];
      expect(stderr, args.join(" ")).toMatch(message);
      expect([code, stdout], stderr).toEqual([expected, ""]);
      expect(stderr).not.toMatch(/^ {4}at |hidden/m);
    }
  });

  test("and what it can do", async () => {
    const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    const asked = [["--version"], ["--help"], ["serve", "--help"], ["credential", "add", "--help"]];
    const [version, help, serve, add] = await Promise.all(asked.map((args) => coatcheck(directory, ...args)));
    expect(version?.stdout).toBe(`${(JSON.parse(manifest) as { version: string }).version}\n`);
    expect(help?.stdout).toContain("coatcheck credential add");
    expect(serve?.stdout).toContain("--listen ADDRESS");
    expect(add?.stdout).toContain("--application NAME");
  });
});

describe("coatcheck serve, by another way than plain HTTP", () => {
  test("TLS, with a certificate that is read again at a SIGHUP", async () => {
    const { ca, server: pair, ada } = certificates();
    const directory = serverDirectory("tls");
    const write = ({ cert, key }: typeof pair): void => {
      writeFileSync(join(directory, "tls.pem"), cert);
      writeFileSync(join(directory, "tls.key"), key);
    };
    write(pair);
    const args = ["--tls-cert", "tls.pem", "--tls-key", "tls.key"];
    const server = await startSessionServer({ args, directory, credentials: [{ application: "shop" }] });
    expect(server.url).toMatch(/^https:/);
    expect(await overTls(server.url, ca.cert)).toEqual({ name: "server", body: '{"status":"ready"}' });
    write(ada);
    process.kill(server.process.pid, "SIGHUP");
    await said(server, /certificate and key: read again/);
    expect(await overTls(server.url, ca.cert)).toMatchObject({ name: "ada" });
    await server.stop();
  });

  test("a Unix socket, which only its owner can use", async () => {
    const server = await startSessionServer({ args: ["--listen", "unix:coatcheck.sock"] });
    const path = join(server.directory, "coatcheck.sock");
    expect(statSync(path).mode & 0o022).toBe(0);
    expect((await rawRequest({ path }, "GET /readyz HTTP/1.1\r\nHost: any\r\n\r\n")).status).toBe(200);
    expect(server.process.output()).toContain("curl -i --unix-socket coatcheck.sock http://localhost/readyz");
    await server.stop();
  });
});

async function overTls(url: string, ca: Buffer): Promise<{ readonly name: string; readonly body: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(`${url}/readyz`, { ca, agent: false, checkServerIdentity: () => undefined }, resolve)
      .on("error", reject)
      .end();
  });
  const { subject } = (
    response.socket as unknown as { getPeerCertificate(): { subject: { CN: string } } }
  ).getPeerCertificate();
  return { name: subject.CN, body: await textOf(response) };
}

/** A database that is there, and then is not. */
async function followsItsStore(url: string, stop: () => Promise<void>): Promise<void> {
  const server = await startSessionServer({ args: ["--store", url, "--store-timeout", "1s"] });
  try {
    expect(await status(`${server.url}/readyz`)).toBe(200);
    expect(server.process.output()).toMatch(/^ {2}store +\w+:\/\/127\.0\.0\.1:\d+/m);
    await stop();
    await until("not ready", async () => (await status(`${server.url}/readyz`)) === 503);
    expect(await status(`${server.url}/healthz`)).toBe(200);
  } finally {
    await server.stop();
  }
}

describeWithServers("coatcheck serve over Redis", REDIS_PROGRAMS, () => {
  test("is ready as long as Redis answers", async () => {
    const redis = await startRedis();
    await followsItsStore(`redis://127.0.0.1:${redis.port}`, () => redis.stop());
  });

  test.runIf(process.platform === "linux")("shows no password of the store in the list of processes", async () => {
    const redis = await startRedis();
    const server = await startSessionServer({ args: ["--store", `redis://default:hidden@127.0.0.1:${redis.port}`] });
    expect(readFileSync(`/proc/${server.process.pid}/cmdline`, "utf8")).toMatch(/^coatcheck serve\0*$/);
    expect(server.process.output()).toContain("use $COATCHECK_STORE");
    expect(server.process.output()).not.toContain("hidden");
    await server.stop();
    await redis.stop();
  });
});

describeWithServers("coatcheck serve over PostgreSQL", POSTGRES_PROGRAMS, () => {
  test("makes its table, and is ready as long as PostgreSQL answers", async () => {
    const postgres = await startPostgresServer();
    await followsItsStore(`postgres://test@127.0.0.1:${postgres.port}/postgres`, () => postgres.stop());
  });
});

describeWithServers("coatcheck serve over MariaDB", MARIADB_PROGRAMS, () => {
  test("makes its table, and is ready as long as MariaDB answers", async () => {
    const mariadb = await startMariadb();
    const { user, password, port, database } = mariadb.options;
    await followsItsStore(`mysql://${user}:${password ?? ""}@127.0.0.1:${port}/${database}`, () => mariadb.stop());
  });
});
