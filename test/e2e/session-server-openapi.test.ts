import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openapi } from "../../src/server/openapi.ts";
import { ROOT } from "../package/docs.ts";
import { conformance, type Exchanged } from "../servers/openapi-conformance.ts";
import { startSessionServer, type TestSessionServer } from "../servers/session-server.ts";

const run = promisify(execFile);
let server: TestSessionServer;
beforeAll(async () => {
  server = await startSessionServer({
    args: ["--changes", "own", "--max-body", "1mb", "--forward-auth", "shop/user"],
    credentials: [{ application: "shop" }],
  });
});
afterAll(() => server.stop());

describe("the OpenAPI document", () => {
  test("is served to everybody, and valid by the schema of OpenAPI 3.1", async () => {
    const answer = await fetch(`${server.url}/openapi.json`);
    expect(answer.status).toBe(200);
    const served = (await answer.json()) as Record<string, unknown>;
    expect(served).toEqual(JSON.parse(JSON.stringify(openapi())));
    const validator = new Validator();
    const { valid, errors } = await validator.validate(served);
    expect(errors).toBeUndefined();
    expect([valid, validator.version]).toEqual([true, "3.1"]);
    const { info: _info, ...broken } = served;
    expect((await new Validator().validate(broken)).valid).toBe(false);
  });

  test("has examples that are what it says, and describes whatever it names", async () => {
    const complaints: string[] = [];
    const { complaints: check } = conformance(openapi());
    for (const [method, path, operation] of operationsOf(openapi())) {
      expect.soft(operation.summary, path).toBeTruthy();
      for (const [status, response] of Object.entries(operation.responses)) {
        const example = response.content?.["application/json"]?.example;
        if (example === undefined) continue;
        const headers = new Headers({ "Content-Type": "application/json", "Cache-Control": "no-store" });
        for (const [name, value] of Object.entries(REQUIRED)) if (response.headers?.[name]) headers.set(name, value);
        const text = JSON.stringify(example);
        complaints.push(...check({ method, path: concrete(path), status: Number(status), headers, text }));
      }
    }
    expect(complaints).toEqual([]);
  });

  const REQUIRED = { ETag: `"${"x".repeat(43)}"`, "Session-Token": "x".repeat(43) };
  const concrete = (path: string): string => path.replace("{name}", "user").replace("{id}", "x".repeat(22));

  interface Operation {
    readonly summary?: string;
    readonly responses: Readonly<
      Record<
        string,
        {
          readonly headers?: Readonly<Record<string, object>>;
          readonly content?: Readonly<Record<string, { readonly example?: unknown }>>;
        }
      >
    >;
  }

  function operationsOf(document: object): readonly [method: string, path: string, operation: Operation][] {
    const { paths } = document as { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>> };
    return Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item)
        .filter(([method]) => method !== "parameters")
        .map(([method, operation]): [string, string, Operation] => [method.toUpperCase(), path, operation]),
    );
  }
});

describe("a client that oazapfts generates from it", () => {
  const CLIENT = `
import { ok } from "@oazapfts/runtime";
import { beginSession, changeData, defaults, endSession, listSessions, readSession } from "./generated.ts";

defaults.baseUrl = process.env["URL"] ?? "";
defaults.headers = { Authorization: \`Bearer \${process.env["CREDENTIAL"]}\` };

const begun = await beginSession("user", { data: { visits: 1 }, subject: "ada" });
const token = begun.headers.get("Session-Token") ?? "";
const etag = begun.headers.get("ETag") ?? "";
const session = await ok(readSession("user", token));
const subject: string | null = session.subject;
const changed = await ok(changeData("user", token, { data: { visits: 2 } }, { ifMatch: etag }));
const refused = await changeData("user", token, { data: { visits: 3 } }, { ifMatch: etag });
const listed = await ok(listSessions("user", { subject: "ada" }));
await ok(endSession("user", token));
const { status } = await readSession("user", token);
console.log(JSON.stringify([subject, changed.data, refused.status, listed.sessions.length, status]));
`;
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-generated-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function compiled(client: string): Promise<string> {
    writeFileSync(join(folder, "client.ts"), client);
    const options = ["--noEmit", "--strict", "--target", "es2023", "--module", "nodenext", "--skipLibCheck"];
    const more = ["--allowImportingTsExtensions", "--erasableSyntaxOnly", "--types", "node"];
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const args = [tsc, ...options, ...more, "client.ts"];
    return await run(process.execPath, args, { cwd: folder }).then(
      () => "",
      (error: { readonly stdout: string }) => error.stdout,
    );
  }

  test("compiles, and works", { timeout: 60_000 }, async () => {
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"), "dir");
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
    writeFileSync(join(folder, "openapi.json"), await (await fetch(`${server.url}/openapi.json`)).text());
    const generator = join(ROOT, "node_modules/oazapfts/dist/cli.js");
    await run(process.execPath, [generator, "openapi.json", "generated.ts"], { cwd: folder });
    expect(await compiled(CLIENT)).toBe("");
    const env = { PATH: process.env["PATH"], URL: server.url, CREDENTIAL: server.credentials["shop"] };
    const { stdout } = await run(process.execPath, ["client.ts"], { cwd: folder, env });
    expect(JSON.parse(stdout)).toEqual(["ada", { visits: 2 }, 412, 1, 404]);
    expect(await compiled(CLIENT.replace("session.subject", "session.sbject"))).toMatch(/sbject/);
  });
});

describe("every answer of the server", () => {
  const { complaints, seen, operations } = conformance(openapi());
  const found: string[] = [];

  interface Asked {
    readonly token?: string | undefined;
    readonly body?: unknown;
    readonly headers?: Readonly<Record<string, string>>;
  }

  async function ask(method: string, path: string, { token, body, headers = {} }: Asked = {}): Promise<Exchanged> {
    const response = await fetch(server.url + path, {
      method,
      headers: {
        Authorization: `Bearer ${server.credentials["shop"]}`,
        ...(token !== undefined && { "Session-Token": token }),
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const { status } = response;
    const exchanged = { method, path, sent: body, status, headers: response.headers, text: await response.text() };
    found.push(...complaints(exchanged));
    return exchanged;
  }

  async function begun(): Promise<string> {
    const { headers } = await ask("POST", ALL, { body: { data: { a: [1] }, subject: "ada", level: "mfa" } });
    return headers.get("Session-Token") ?? "";
  }

  const ALL = "/v1/sessions/user";
  const CURRENT = `${ALL}/current`;

  test("is in the document: of sessions", async () => {
    const token = await begun();
    await ask("POST", ALL);
    await ask("POST", ALL, { body: { dta: 1 } });
    for (const method of ["GET", "HEAD"]) await ask(method, CURRENT, { token });
    await ask("GET", CURRENT);
    await ask("PUT", CURRENT, { token, body: { data: {} } });
    await ask("PUT", CURRENT, { token, body: { data: {} }, headers: { "If-Match": '"other"' } });
    await ask("PUT", CURRENT, { token, body: { data: [] } });
    await ask("PUT", CURRENT, { body: { data: {} } });
    await ask("PATCH", CURRENT, { token, body: { data: { a: null }, remove: ["b"] }, headers: { "If-Match": "*" } });
    await ask("PATCH", CURRENT, { token, body: {}, headers: { "If-Match": "other" } });
    await ask("PATCH", CURRENT, { body: { data: {} } });
    await ask("POST", `${CURRENT}/touch`, { token });
    await ask("POST", `${CURRENT}/touch`);
    const signedIn = await ask("POST", `${CURRENT}/authenticate`, { token, body: { subject: "bob", keep: ["a"] } });
    await ask("POST", `${CURRENT}/authenticate`, { token, body: { subject: "bob" } });
    const anew = await ask("POST", `${CURRENT}/regenerate`, { token: signedIn.headers.get("Session-Token") ?? "" });
    await ask("POST", `${CURRENT}/regenerate`, { token });
    await ask("DELETE", CURRENT, { token: anew.headers.get("Session-Token") ?? "" });
    await ask("DELETE", CURRENT, { token, headers: { "If-Match": "*" } });
    expect(found).toEqual([]);
  });

  test("is in the document: of lists and revocations", async () => {
    await begun();
    const { text } = await ask("GET", `${ALL}?subject=ada`);
    const { sessions } = JSON.parse(text) as { readonly sessions: readonly { readonly id: string }[] };
    await begun();
    const page = await ask("GET", `${ALL}?limit=1`);
    expect(JSON.parse(page.text)).toHaveProperty("cursor");
    await ask("GET", `${ALL}?limit=0`);
    await ask("DELETE", `${ALL}/${sessions[0]?.id}`);
    await ask("DELETE", `${ALL}/${sessions[0]?.id}`);
    await ask("DELETE", `${ALL}?subject=ada&except=${sessions[0]?.id}`);
    await ask("DELETE", ALL);
    expect(found).toEqual([]);
  });

  test("is in the document: of the store, and of those who run the server", async () => {
    const call = { key: "user/1", now: 0 };
    const record = { version: "1", expiresAt: 8e15, subject: "user/x", value: "{}" };
    const next = { version: "2", expiresAt: 8e15, value: "{}" };
    const calls = [
      { verb: "create", ...call, record },
      { verb: "read", ...call, fresh: true },
      { verb: "read", key: "user/2", now: 0 },
      { verb: "listBySubject", subject: "user/x", now: 0 },
      { verb: "list", prefix: "user/", limit: 1, now: 0 },
      { verb: "count", prefix: "user/", now: 0 },
      { verb: "touch", ...call, expiresAt: 8.1e15 },
      { verb: "update", ...call, record: next, base: { version: "1", subject: "user/x" }, previousSubject: "user/x" },
      { verb: "deleteBySubject", subject: "user/x", now: 0 },
      { verb: "delete", ...call },
    ];
    for (const one of calls) await ask("POST", "/v1/store", { body: { calls: [one] } });
    await ask("POST", "/v1/store", { body: { calls: [] } });
    for (const path of ["/healthz", "/readyz", "/metrics", "/openapi.json"]) {
      await ask("GET", path);
      await ask("HEAD", path);
      await ask("POST", path);
    }
    expect(found).toEqual([]);
  });

  test("is in the document: of forward-auth", async () => {
    const path = "/forward-auth/shop/user";
    const signedIn = await ask("POST", ALL, { body: { subject: "ada", level: "mfa" } });
    const cookie = `__Host-Http-user=${signedIn.headers.get("Session-Token")}`;
    const allowed = await ask("GET", path, { headers: { cookie } });
    expect([allowed.status, allowed.headers.get("X-Session-Subject")]).toEqual([200, "ada"]);
    expect((await ask("GET", path)).status).toBe(401);
    expect(found).toEqual([]);
  });

  test("is in the document: of the change feed", async () => {
    const path = "/v1/changes";
    const controller = new AbortController();
    const headers = { Authorization: `Bearer ${server.credentials["shop"]}` };
    const { status, headers: answered, body } = await fetch(server.url + path, { headers, signal: controller.signal });
    const token = await begun();
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (!text.includes('"now"')) continue;
      if (text.includes('"key"')) break;
      await ask("PATCH", CURRENT, { token, body: { data: { a: text.length } } });
    }
    controller.abort();
    found.push(...complaints({ method: "GET", path, status, headers: answered, text }));
    expect(text.split("\n").length).toBeGreaterThan(2);
    expect(found).toEqual([]);
  });

  test("is in the document: of hostile and careless requests", async () => {
    const body = { data: {} };
    await ask("GET", CURRENT, { headers: { Authorization: "Bearer nobody" } });
    await ask("POST", ALL, { body, headers: { "Content-Type": "text/plain" } });
    await ask("POST", ALL, { body: { data: { long: "x".repeat(1_100_000) } } });
    await ask("POST", "/v1/store", { headers: { "Content-Type": "application/json" } });
    await ask("GET", "/v1/sessions/us%20er/current");
    await ask("GET", "/v1/sessions");
    await ask("GET", "/v1//sessions");
    await ask("GET", "/nowhere");
    await ask("PATCH", ALL, { body });
    expect(found).toEqual([]);
  });

  test("and every operation of the document was asked for", () => {
    const asked = new Set([...seen].map((one) => one.split(" ")[0]));
    expect(operations.filter((operation) => !asked.has(operation))).toEqual([]);
    expect([...seen].filter((one) => /^(?:beginSession|readSession|changeData) /.test(one)).toSorted()).toEqual([
      "beginSession 201",
      "beginSession 400",
      "beginSession 413",
      "beginSession 415",
      "changeData 200",
      "changeData 400",
      "changeData 404",
      "readSession 200",
      "readSession 400",
      "readSession 401",
      "readSession 404",
    ]);
  });

  test("would be found, if it were another", () => {
    const headers = new Headers({ "Cache-Control": "no-store", "Content-Type": "application/json" });
    const wrong = { method: "GET", path: CURRENT, status: 200, headers, text: '{"id":"short"}' };
    expect(complaints(wrong)).toHaveLength(2);
    expect(complaints({ ...wrong, status: 404, text: '{"error":"no-session","message":"","more":1}' })).toHaveLength(1);
    const cached = new Headers({ "Content-Type": "application/json", "X-New": "1" });
    const text = '{"error":"no-session","message":""}';
    expect(complaints({ ...wrong, status: 404, headers: cached, text })).toHaveLength(2);
  });
});
