/**
 * What hostile clients send to a real session server, over the wire: each request is refused, none learns whether a session
 * exists that is not its own, and afterwards the server is as it was.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { changeCredentials, CREDENTIAL_FILE } from "../../src/cli/credential-file.ts";
import { sessionServer, type SessionServer } from "../../src/server/session-server.ts";
import { cursorAt } from "../../src/store/cursor.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { NO_JSON, NO_JSON_TYPES, NO_REQUESTS, ODD_PATHS, oddLines } from "../hostile-requests.ts";
import { type RawResponse, rawConnection, rawRequest } from "../servers/raw-http.ts";
import { until } from "../servers/server-process.ts";
import { startSessionServer, type TestSessionServer } from "../servers/session-server.ts";

const SECRET = "what-the-shop-keeps";
const NOW = Date.now();

interface Sent {
  readonly credential?: string | undefined;
  readonly token?: string | undefined;
  readonly headers?: readonly string[];
  /** Sent as JSON, or as it is. */
  readonly body?: unknown;
}

/** A request as it goes over the wire. */
function request(method: string, path: string, { credential, token, headers = [], body }: Sent = {}): string {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const lines = [
    `${method} ${path} HTTP/1.1`,
    "Host: localhost",
    ...(credential === undefined ? [] : [`Authorization: Bearer ${credential}`]),
    ...(token === undefined ? [] : [`Session-Token: ${token}`]),
    ...(text === undefined ? [] : ["Content-Type: application/json", `Content-Length: ${Buffer.byteLength(text)}`]),
    ...headers,
  ];
  return `${lines.join("\r\n")}\r\n\r\n${text ?? ""}`;
}

const store = (credential: string, ...calls: readonly object[]): string =>
  request("POST", "/v1/store", { credential, body: { calls: calls.map((call) => Object.assign({ now: NOW }, call)) } });

/** All of an answer but its date. */
function bytesOf({ head, body }: RawResponse): string {
  return `${head.replace(/\r\nDate: [^\r]*/, "")}\r\n\r\n${body}`;
}

let server: TestSessionServer;
let port: number;
let shop: string;
let bank: string;
let gone: string;

/** Distinct requests that were hostile. */
const hostile = new Set<string>();
let memoryBefore: number;

/** Sends what is hostile. */
function attack(text: string): Promise<RawResponse> {
  hostile.add(text);
  return rawRequest({ port }, text);
}

async function expectRefused(text: string, what = text.slice(0, 200)): Promise<RawResponse> {
  const answer = await attack(text);
  expect([0, ...Array.from({ length: 100 }, (_, i) => 400 + i), 503], `${what}: ${answer.head}`).toContain(
    answer.status,
  );
  expect(answer.head + answer.body, what).not.toMatch(/ {4}at |node:|\.ts\b|file:\/\//);
  expect(answer.head + answer.body, what).not.toContain(SECRET);
  return answer;
}

/** Sends requests that differ only in what they name; none is to be told from another by its answer. */
async function expectAlike(texts: Readonly<Record<string, string>>): Promise<RawResponse> {
  const answers: [string, RawResponse][] = [];
  for (const [what, text] of Object.entries(texts)) answers.push([what, await attack(text)]);
  const [[, first] = ["", undefined], ...others] = answers;
  if (first === undefined) throw new Error("nothing to compare");
  for (const [what, answer] of others) expect(bytesOf(answer), what).toBe(bytesOf(first));
  return first;
}

async function metrics(): Promise<string> {
  return (await rawRequest({ port }, request("GET", "/metrics"))).body;
}

async function memory(): Promise<number> {
  return Number(/^process_resident_memory_bytes (\d+)$/m.exec(await metrics())?.[1]);
}

/** Begins a session; its token and its public id. */
async function begun(credential: string, body: object): Promise<{ readonly token: string; readonly id: string }> {
  const { head, json } = await rawRequest({ port }, request("POST", "/v1/sessions/user", { credential, body }));
  const [, token = ""] = /^session-token: (\S+)/im.exec(head) ?? [];
  return { token, id: (json as { readonly id: string }).id };
}

interface Targets {
  /** Of the shop, and good. */
  readonly other: { readonly token: string; readonly id: string };
  /** Of the bank. */
  readonly live: { readonly token: string; readonly id: string };
  readonly ended: { readonly token: string; readonly id: string };
  readonly expired: { readonly token: string; readonly id: string };
  readonly never: { readonly token: string; readonly id: string };
}

let targets: Targets;

async function madeTargets(): Promise<Targets> {
  const other = await begun(shop, { data: { note: SECRET }, subject: "ada" });
  const live = await begun(bank, { data: { own: 1 }, subject: "bob" });
  const ended = await begun(bank, { data: { own: 2 }, subject: "eve" });
  await rawRequest({ port }, request("DELETE", "/v1/sessions/user/current", { credential: bank, token: ended.token }));
  const expired = await begun(bank, { data: { own: 3 }, subject: "old" });
  const key = `user/${expired.id}`;
  const { json } = await rawRequest({ port }, store(bank, { verb: "read", key }));
  const [{ ok }] = (json as { readonly answers: [{ readonly ok: object }] }).answers;
  const over = { ...ok, revision: undefined, expiresAt: NOW - 1000 };
  await rawRequest(
    { port },
    store(bank, { verb: "delete", key }, { verb: "create", key, record: over, now: NOW - 5000 }),
  );
  const bytes = randomBytes(32);
  const never = { token: bytes.toString("base64url"), id: bytes.subarray(0, 16).toString("base64url") };
  return { other, live, ended, expired, never };
}

/** The id of a session that is there, and a secret that is not its own. */
function wrongSecret(token: string): string {
  const bytes = Buffer.from(token, "base64url");
  bytes[31] = (bytes[31] ?? 0) ^ 1;
  return bytes.toString("base64url");
}

beforeAll(async () => {
  server = await startSessionServer({
    args: ["--changes", "own", "--forward-auth", "shop/user", "--max-body", "64kb"],
    credentials: [{ application: "shop" }, { application: "bank" }, { application: "gone" }],
  });
  port = Number(new URL(server.url).port);
  ({ shop = "", bank = "", gone = "" } = server.credentials);
  const file = join(server.directory, CREDENTIAL_FILE);
  changeCredentials(file, (all) => all.filter(({ application }) => application !== "gone"));
  process.kill(server.process.pid, "SIGHUP");
  await until("the removal", async () => /SIGHUP: .*: 2 credentials/.test(server.process.output()));
  targets = await madeTargets();
  memoryBefore = await memory();
});
afterAll(() => server.stop());

describe("whoever has no credential", () => {
  test("gets one and the same answer, whatever it sends instead, and wherever", async () => {
    const authorization = (value: string): string =>
      request("GET", "/v1/sessions/user/current", { token: targets.other.token, headers: [`Authorization: ${value}`] });
    const body = shop.slice("coatcheck_".length);
    const hash = "0".repeat(64);
    const answer = await expectAlike({
      none: request("GET", "/v1/sessions/user/current", { token: targets.other.token }),
      removed: authorization(`Bearer ${gone}`),
      empty: authorization(""),
      "the scheme alone": authorization("Bearer"),
      "a beginning": authorization(`Bearer ${shop.slice(0, -1)}`),
      "more at its end": authorization(`Bearer ${shop}A`),
      "without its prefix": authorization(`Bearer ${body}`),
      "another prefix": authorization(`Bearer coatchecK_${body}`),
      "in capitals": authorization(`Bearer ${shop.toUpperCase()}`),
      "in small letters": authorization(`Bearer ${shop.toLowerCase()}`),
      "two blanks": authorization(`Bearer  ${shop}`),
      "a tab": authorization(`Bearer\t${shop}`),
      "no blank": authorization(`Bearer${shop}`),
      quoted: authorization(`Bearer "${shop}"`),
      "two in one": authorization(`Bearer ${shop}, Bearer ${bank}`),
      "a list": authorization(`Bearer ${shop},${bank}`),
      "a parameter": authorization(`Bearer realm="x", token=${shop}`),
      "another scheme": authorization(`Token ${shop}`),
      "no scheme": authorization(shop),
      Basic: authorization(`Basic ${Buffer.from(`shop:${shop}`).toString("base64")}`),
      "Basic, as a name": authorization(`Basic ${Buffer.from(`${shop}:`).toString("base64")}`),
      "a hash": authorization(`Bearer ${hash}`),
      "percent-encoded": authorization(`Bearer ${shop.replace("_", "%5F")}`),
      long: authorization(`Bearer ${shop.repeat(20)}`),
      "bytes beyond ASCII": authorization(`Bearer ${shop}\u00a0`),
      "in the query": request("GET", `/v1/sessions/user/current?access_token=${shop}`, { token: targets.other.token }),
      "in the query, by another name": request("GET", `/v1/sessions/user?authorization=Bearer%20${shop}`),
      "in a cookie": request("GET", "/v1/sessions/user/current", { headers: [`Cookie: Authorization=${shop}`] }),
      "in a header of a proxy": request("GET", "/v1/sessions/user", {
        headers: [`Proxy-Authorization: Bearer ${shop}`],
      }),
      "with an underscore": request("GET", "/v1/sessions/user", { headers: [`X_Authorization: Bearer ${shop}`] }),
      "in the body": request("POST", "/v1/store", { body: { credential: shop, calls: [] } }),
      "of a session": request("GET", "/v1/sessions/user/current", { token: targets.live.token }),
      "no such session": request("GET", "/v1/sessions/user/current", { token: targets.never.token }),
      "an id": request("DELETE", `/v1/sessions/user/${targets.other.id}`),
      "a subject": request("GET", "/v1/sessions/user?subject=ada"),
      "no such path": request("GET", "/v1/nothing"),
      "no such name": request("GET", "/v1/sessions/%41/current"),
      changes: request("GET", "/v1/changes"),
      "forward-auth that is not on": request("GET", "/forward-auth/bank/user", { token: targets.live.token }),
      "forward-auth of another name": request("GET", "/forward-auth/shop/admin"),
      "another method": request("BREW", "/v1/store").replace("BREW", "DELETE"),
    });
    expect(answer).toMatchObject({ status: 401, json: { error: "unauthorized" } });
  });

  test("learns nothing of a session by forward-auth", async () => {
    const cookie = (value: string): string =>
      request("GET", "/forward-auth/shop/user", { headers: [`Cookie: __Host-Http-user=${value}`] });
    const own = await begun(shop, { subject: "zoe" });
    await rawRequest({ port }, request("DELETE", "/v1/sessions/user/current", { credential: shop, token: own.token }));
    const guest = await begun(shop, { data: {} });
    const answer = await expectAlike({
      "of another namespace": cookie(targets.live.token),
      never: cookie(targets.never.token),
      ended: cookie(own.token),
      "a guest's": cookie(guest.token),
      "a wrong secret": cookie(wrongSecret(targets.other.token)),
      "an id": cookie(targets.other.id),
      nothing: cookie(""),
      "by a header": request("GET", "/forward-auth/shop/user", { token: targets.other.token }),
      "by a credential": request("GET", "/forward-auth/shop/user", { credential: shop, token: targets.other.token }),
      "by an identity": request("GET", "/forward-auth/shop/user", { headers: ["X-Session-Subject: ada"] }),
      "with a path": request("GET", "/forward-auth/shop/user/../../bank/user"),
      "with another namespace": request("GET", "/forward-auth/shop/user?namespace=bank"),
    });
    expect(answer.status).toBe(401);
    expect(answer.body).toBe("");
    // The cookie of whoever is signed in, that the others be worth something.
    expect((await rawRequest({ port }, cookie(targets.other.token))).status).toBe(200);
    for (const path of [
      "/forward-auth/shop/user%2f",
      "/forward-auth/shop//user",
      "/forward-auth/../forward-auth/shop/user",
    ]) {
      await expectRefused(request("GET", path, { headers: [`Cookie: __Host-Http-user=${targets.other.token}`] }));
    }
  });
});

describe("an application that asks for the sessions of another one", () => {
  const asks: readonly (readonly [string, string, Sent, number])[] = [
    ["GET", "current", {}, 404],
    ["HEAD", "current", { headers: ["Connection: close"] }, 404],
    ["PUT", "current", { body: { data: {} } }, 404],
    ["PUT", "current", { body: { data: {} }, headers: ["If-Match: *"] }, 404],
    ["PUT", "current", { body: { data: {} }, headers: ['If-Match: "x"'] }, 404],
    ["PATCH", "current", { body: { data: { a: 1 } } }, 404],
    ["PATCH", "current", { body: { remove: ["a"] }, headers: ["If-Match: *"] }, 404],
    ["POST", "current/authenticate", { body: { subject: "eve" } }, 404],
    ["POST", "current/regenerate", {}, 404],
    ["POST", "current/touch", {}, 404],
    ["DELETE", "current", {}, 204],
  ];

  test.each(asks)("%s …/%s is answered as for a session that never was", async (method, step, sent, status) => {
    const by = (token: string | undefined): string =>
      request(method, `/v1/sessions/user/${step}`, { credential: bank, token, ...sent });
    const answer = await expectAlike({
      never: by(targets.never.token),
      other: by(targets.other.token),
      ended: by(targets.ended.token),
      expired: by(targets.expired.token),
      "a wrong secret": by(wrongSecret(targets.live.token)),
      "another name": by(targets.live.token).replace("/user/", "/admin/"),
      "an id": by(targets.other.id),
      garbage: by("x"),
    });
    expect(answer.status).toBe(status);
  });

  test("by id and by subject learns nothing", async () => {
    const by = (id: string): string => request("DELETE", `/v1/sessions/user/${id}`, { credential: bank });
    const ids = { other: targets.other.id, ended: targets.ended.id, expired: targets.expired.id };
    const revoked = await expectAlike({
      never: by(targets.never.id),
      ...Object.fromEntries(Object.entries(ids).map(([what, id]) => [what, by(id)])),
      "a token": by(targets.other.token),
      "a key": by(encodeURIComponent(`shop:user`)),
      "another name": by(targets.live.id).replace("/user/", "/admin/"),
    });
    expect(revoked.status).toBe(404);
    for (const [method, nothing] of [
      ["GET", { sessions: [] }],
      ["DELETE", { revoked: 0 }],
    ] as const) {
      const of = (subject: string): string =>
        request(method, `/v1/sessions/user?subject=${encodeURIComponent(subject)}`, { credential: bank });
      const answer = await expectAlike({
        nobody: of("nobody"),
        other: of("ada"),
        "with a namespace": of("shop:ada"),
        "with a name": of("user/ada"),
        "with both": of("shop:user/ada"),
        "with a wildcard": of("*"),
        "with SQL": of("' OR 1=1 --"),
        "with a NUL": of("ada\0"),
      });
      expect(answer.json).toEqual(nothing);
    }
    const except = (id: string): string =>
      request("DELETE", `/v1/sessions/user?subject=nobody&except=${id}`, { credential: bank });
    await expectAlike({ never: except(targets.never.id), other: except(targets.other.id) });
  });

  test("by the verbs of the store learns nothing, and does nothing", async () => {
    const record = { version: "v", expiresAt: NOW + 1e6, subject: "shop:user/ada", value: "{}" };
    const keys: readonly string[] = [
      `user/${targets.never.id}`,
      `user/${targets.other.id}`,
      `shop:user/${targets.other.id}`,
      `../shop:user/${targets.other.id}`,
      `\0shop:user/${targets.other.id}`,
      `bank:user/${targets.live.id}`,
      `user/${targets.ended.id}`,
      `user/${targets.expired.id}`,
      "",
      "readyz",
    ];
    const verbs: readonly object[] = [
      { verb: "read" },
      { verb: "read", fresh: true },
      { verb: "update", record, base: { version: "v" }, previousSubject: "shop:user/ada" },
      { verb: "touch", expiresAt: NOW + 1e9 },
      { verb: "delete", previousSubject: "shop:user/ada" },
    ];
    for (const verb of verbs) {
      await expectAlike(Object.fromEntries(keys.map((key) => [key, store(bank, { ...verb, key })])));
    }
    for (const verb of ["listBySubject", "deleteBySubject"]) {
      const subjects = ["user/nobody", "user/ada", "shop:user/ada", "shop:ada", "", "*", "%"];
      await expectAlike(Object.fromEntries(subjects.map((subject) => [subject, store(bank, { verb, subject })])));
    }
    const prefixes = ["none/", "shop:", "shop:user/", "user/shop", "\0", "\u{10ffff}", "*", "%", "_", "\u0001#"];
    await expectAlike(
      Object.fromEntries(prefixes.map((prefix) => [prefix, store(bank, { verb: "list", prefix, limit: 10 })])),
    );
    await expectAlike(Object.fromEntries(prefixes.map((prefix) => [prefix, store(bank, { verb: "count", prefix })])));
  });

  test("by a cursor of somebody else's, or one that it made, gets its own sessions", async () => {
    await begun(shop, { subject: "ada" });
    const first = await rawRequest({ port }, store(shop, { verb: "list", prefix: "", limit: 1 }));
    const [{ ok }] = (first.json as { readonly answers: [{ readonly ok: { readonly cursor: string } }] }).answers;
    const positions = [
      "\u0001",
      "\u0002",
      "a",
      "bank:",
      "bank:user/",
      "c",
      "shop:",
      `shop:user/${targets.other.id}`,
      "\u{10ffff}",
    ];
    for (const cursor of [ok.cursor, ...positions.map(cursorAt), "!", "AA", "-1", "0", "1e9"]) {
      const listed = await attack(store(bank, { verb: "list", prefix: "", limit: 1000, cursor }));
      const page = await attack(
        request("GET", `/v1/sessions/user?limit=1000&cursor=${encodeURIComponent(cursor)}`, { credential: bank }),
      );
      for (const { status, body } of [listed, page]) {
        expect([200, 400], cursor).toContain(status);
        expect(body, cursor).not.toMatch(new RegExp(`${SECRET}|shop|${targets.other.id}|ada`));
      }
    }
  });

  test("hears of its own changes only", async () => {
    hostile.add(request("GET", "/v1/changes", { credential: bank }));
    const stream = await fetch(`${server.url}/v1/changes`, { headers: { Authorization: `Bearer ${bank}` } });
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let heard = (await reader?.read())?.value ?? "";
    await rawRequest(
      { port },
      request("POST", "/v1/sessions/user/current/regenerate", { credential: shop, token: targets.other.token }),
    ).then(({ head }) => {
      const [, token = targets.other.token] = /^session-token: (\S+)/im.exec(head) ?? [];
      targets = { ...targets, other: { ...targets.other, token } };
    });
    await rawRequest(
      { port },
      request("PATCH", "/v1/sessions/user/current", {
        credential: bank,
        token: targets.live.token,
        body: { data: { own: 9 } },
      }),
    );
    while (!heard.includes(targets.live.id)) heard += (await reader?.read())?.value ?? "";
    await reader?.cancel();
    expect(heard).not.toMatch(new RegExp(`shop|${targets.other.id}`));
  });
});

describe("an application that sends what nobody should", () => {
  const post = (body: string, ...headers: readonly string[]): string =>
    request("POST", "/v1/store", { credential: shop, headers, body });

  test("paths in another spelling, and what is no request", async () => {
    for (const path of ODD_PATHS) await expectRefused(request("POST", path, { credential: shop, body: "{}" }), path);
    for (const text of NO_REQUESTS) await expectRefused(text);
    for (const name of ["x".repeat(65), "a.b", "a b", "%E2%82%AC", "a%3Ab", "..%3B"]) {
      await expectRefused(
        request("GET", `/v1/sessions/${name.replace(" ", "%20")}/current`, { credential: shop }),
        name,
      );
    }
  });

  test("heads that two readers take for two things, and requests inside of others", async () => {
    for (const line of oddLines(`Authorization: Bearer ${shop}`)) {
      await expectRefused(post("{}", ...line.split("\n")), line);
    }
    const inner = request("GET", "/v1/sessions/user", { credential: shop });
    const chunked = (body: string, ...headers: readonly string[]): string =>
      `${request("POST", "/v1/store", { credential: shop, headers: ["Content-Type: application/json", ...headers] })}${body}`;
    const smuggled: readonly string[] = [
      chunked(`0\r\n\r\n${inner}`, "Content-Length: 5", "Transfer-Encoding: chunked"),
      chunked(`0\r\n\r\n${inner}`, "Transfer-Encoding: chunked", "Content-Length: 5"),
      chunked(inner, "Content-Length: 0", `Content-Length: ${inner.length}`),
      chunked(inner, `Content-Length: 0, ${inner.length}`),
      chunked(`0\r\n\r\n${inner}`, "Transfer-Encoding:\r\n chunked"),
      chunked(`0\r\n\r\n${inner}`, "Transfer-Encoding: \u000bchunked"),
      chunked(`0\r\n\r\n${inner}`, "Transfer-Encoding: chunked, chunked"),
      chunked(`0\r\n\r\n${inner}`, "Transfer-Encoding: gzip, chunked"),
      chunked(`0\n\n${inner}`, "Transfer-Encoding: chunked"),
      chunked(`-1\r\n\r\n${inner}`, "Transfer-Encoding: chunked"),
      chunked(`0x0\r\n\r\n${inner}`, "Transfer-Encoding: chunked"),
      chunked(`1\r\nxyz\r\n0\r\n\r\n${inner}`, "Transfer-Encoding: chunked"),
      chunked(`ffffffffffffffffff\r\nx`, "Transfer-Encoding: chunked"),
      chunked(`2;a=b\nc\r\n{}\r\n0\r\n\r\n${inner}`, "Transfer-Encoding: chunked"),
      chunked(`2\r\n{}\r\n0\r\nAuthorization: Bearer ${bank}\r\n\r\n`, "Transfer-Encoding: chunked"),
      request("GET", "/v1/sessions/user", { credential: bank }).replaceAll("\r\n", "\n"),
      request("GET", `${server.url}/v1/sessions/user`, { credential: bank }),
      request("GET", "http://shop@localhost/v1/sessions/user", { credential: bank }),
      request("CONNECT", "localhost:22", { credential: bank }),
      request("GET", "/v1/store", { credential: bank, headers: ["Upgrade: websocket", "Connection: Upgrade"] }),
      request("GET", "/v1/store", { credential: bank, headers: ["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"] }),
      `${request("POST", "/v1/store", { credential: bank, headers: ["Expect: 200-ok", "Content-Length: 2"] })}{}`,
      request("GET", "/v1/sessions/user/current", {
        credential: bank,
        token: `${targets.live.token}, ${targets.other.token}`,
      }),
      request("GET", "/v1/sessions/user/current", {
        credential: bank,
        headers: [`Session_Token: ${targets.live.token}`],
      }),
      request("GET", "/v1/sessions/user/current", { credential: bank, token: "x".repeat(9000) }),
    ];
    for (const text of smuggled) await expectRefused(text);
    for (const method of ["TRACE", "OPTIONS", "PROPFIND", "QUERY", "LINK", "PURGE", "M-SEARCH"]) {
      await expectRefused(
        request(method, "/v1/sessions/user/current", { credential: shop, token: targets.other.token }),
      );
      await expectRefused(request(method, "/healthz"));
    }
    // "DELETE" is what counts, whatever a header says.
    await expectRefused(
      request("POST", "/v1/sessions/user/current", {
        credential: shop,
        token: targets.other.token,
        headers: ["X-HTTP-Method-Override: GET"],
      }),
    );
  });

  test("bodies that are none, too large, too deep, or not what was agreed upon", async () => {
    for (const text of NO_JSON) await expectRefused(post(text));
    for (const type of NO_JSON_TYPES) await expectRefused(post("{}").replace("application/json", type));
    const call = '{"verb":"read","key":"a","now":1}';
    const bodies: readonly string[] = [
      "x".repeat(65_537),
      "[".repeat(60_000),
      `${"[".repeat(30_000)}${"]".repeat(30_000)}`,
      `{"calls":[${"[".repeat(30_000)}${"]".repeat(30_000)}]}`,
      `{"calls":[${`{"a":`.repeat(10_000)}1${"}".repeat(10_000)}]}`,
      `{"calls":[${Array.from({ length: 1_900 }, () => call).join()}]}`,
      `{"calls":[${Array.from({ length: 257 }, () => call).join()}]}`,
      '{"calls":[]}',
      '{"calls":{}}',
      '{"calls":{"length":1,"0":{}}}',
      '{"__proto__":{"calls":[{"verb":"count","prefix":"","now":1}]}}',
      '{"calls":[{"__proto__":{"verb":"count","prefix":"","now":1}}]}',
      '{"calls":[{"verb":"__proto__","key":"a","now":1}]}',
      '{"calls":[{"verb":"constructor","key":"a","now":1}]}',
      '{"calls":[{"verb":"deleteExpired","limit":10,"now":1}]}',
      '{"calls":[{"verb":"close","now":1}]}',
      '{"calls":[{"verb":"watch","now":1}]}',
      '{"calls":[{"verb":["read"],"key":"a","now":1}]}',
      '{"calls":[{"verb":"read","verb":"sweep","key":"a","now":1}]}',
      '{"calls":[{"verb":"read","key":"a","now":1e999}]}',
      '{"calls":[{"verb":"read","key":"a","now":"1"}]}',
      '{"calls":[{"verb":"read","key":["shop:user"],"now":1}]}',
      '{"calls":[{"verb":"read","key":{"$ne":null},"now":1}]}',
      `{"calls":[{"verb":"read","key":"${"k".repeat(5_000)}","now":1}]}`,
      '{"calls":[{"verb":"list","prefix":"","limit":0,"now":1}]}',
      '{"calls":[{"verb":"list","prefix":"","limit":-1,"now":1}]}',
      '{"calls":[{"verb":"list","prefix":"","limit":1e308,"now":1}]}',
      `{"calls":[{"verb":"list","prefix":"","limit":1,"cursor":{"a":1},"now":1}]}`,
      '{"calls":[{"verb":"touch","key":"a","expiresAt":1e999,"now":1}]}',
      '{"calls":[{"verb":"create","key":"a","record":{"version":1,"expiresAt":1,"value":""},"now":1}]}',
      '{"calls":[{"verb":"update","key":"a","record":{"version":"1","expiresAt":1,"value":""},"base":{"version":"1","revision":"{"},"now":1}]}',
    ];
    for (const body of bodies) await expectRefused(post(body), body.slice(0, 100));
    const sessions: readonly string[] = [
      `{"data":${`{"a":`.repeat(5_000)}1${"}".repeat(5_000)}}`,
      `{"data":{"a":${"[".repeat(30_000)}${"]".repeat(30_000)}}}`,
      '{"data":{"n":1e999}}',
      '{"data":[]}',
      '{"data":null}',
      '{"data":{},"__proto__":{"subject":"ada"}}',
      '{"data":{},"id":"x"}',
      '{"data":{},"namespace":"bank"}',
      '{"data":{},"subject":""}',
      `{"data":{},"subject":"${"s".repeat(1_001)}"}`,
      '{"data":{},"subject":{"toString":1}}',
      '{"data":{},"subject":"\\ud800"}',
      `{"data":{},"subject":"a","level":"${"l".repeat(257)}"}`,
      '{"data":{},"level":"high"}',
    ];
    for (const body of sessions) {
      await expectRefused(request("POST", "/v1/sessions/user", { credential: shop, body }), body.slice(0, 100));
    }
    const queries = [
      "subject=",
      "subject=a&subject=b",
      "limit=0",
      "limit=1001",
      "limit=1e3",
      "limit=-1",
      "a=b",
      "subject=a&limit=1",
      "subject=%ED%A0%80%00&cursor=x",
    ];
    for (const query of queries)
      await expectRefused(request("GET", `/v1/sessions/user?${query}`, { credential: shop }), query);
  });

  test("bodies and heads without an end", async () => {
    const head = request("POST", "/v1/store", { credential: shop, headers: ["Content-Type: application/json"] }).slice(
      0,
      -2,
    );
    await expectRefused(`${head}Content-Length: 99999999999\r\n\r\n`);
    await expectRefused(`${head}Transfer-Encoding: chunked\r\n\r\n10001\r\n${"x".repeat(0x10001)}\r\n`, "chunks");
    await expectRefused(
      `${head}Transfer-Encoding: chunked\r\n\r\n2;${"x".repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
      "extensions",
    );
    await expectRefused(`${head}X: ${"y".repeat(20_000)}`, "a header");
    await expectRefused(request("GET", `/v1/sessions/${"y".repeat(20_000)}`, { credential: shop }), "a path");
    const many = Array.from({ length: 101 }, (_, i) => `X-${i}: y`);
    await expectRefused(request("GET", "/v1/sessions/user", { credential: shop, headers: many }), "headers");
    for (const text of [
      request("GET", "/openapi.json"),
      request("GET", "/metrics"),
      request("GET", "/v1/sessions/user", { credential: shop }),
    ]) {
      const connection = await rawConnection({ port });
      connection.socket.pause();
      hostile.add(text.repeat(10_000));
      connection.write(text.repeat(10_000));
      // It takes them as they come, and waits for somebody to read; or ends it.
      await rawRequest({ port }, request("GET", "/healthz"));
      connection.socket.resume();
      await connection.closed;
    }
  });
});

describe("clients that take their time, with the limits set short", () => {
  let hurried: SessionServer;
  let to: { readonly port: number };
  beforeAll(async () => {
    hurried = sessionServer({
      store: memoryStore(),
      headersTimeout: 0.04,
      requestTimeout: 0.08,
      keepAliveTimeout: 0.02,
      log: () => {},
    });
    await hurried.listen({ host: "127.0.0.1", port: 0 });
    to = { port: Number(new URL(hurried.url ?? "").port) };
  });
  afterAll(() => hurried.close({ within: 1 }));

  test.each([
    ["the head", "", request("GET", "/healthz", { headers: [`X: ${"y".repeat(200)}`] })],
    [
      "the body",
      request("POST", "/v1/store", { headers: ["Content-Type: application/json", "Content-Length: 200"] }),
      "x".repeat(200),
    ],
    [
      "the body of a session",
      request("POST", "/v1/sessions/user", { headers: ["Content-Type: application/json", "Content-Length: 200"] }),
      " ".repeat(200),
    ],
    [
      "chunks",
      request("POST", "/v1/store", { headers: ["Content-Type: application/json", "Transfer-Encoding: chunked"] }),
      "1\r\nx\r\n".repeat(50),
    ],
  ])("%s byte by byte: 408, and the connection is closed", async (_, at, slowly) => {
    hostile.add(at + slowly);
    const connection = await rawConnection(to);
    connection.write(at);
    let next = 0;
    const drip = setInterval(() => connection.write(slowly[next++] ?? ""), 5);
    expect((await connection.response()).status).toBe(408);
    await connection.closed;
    clearInterval(drip);
  });

  test("a connection that says nothing is closed", async () => {
    const silent = await rawConnection(to);
    await silent.closed;
  });
});

describe("after all of them", () => {
  test("there were more than 200, and the server is as it was", async () => {
    expect(hostile.size).toBeGreaterThanOrEqual(200);
    const { json } = await rawRequest(
      { port },
      request("GET", "/v1/sessions/user/current", { credential: shop, token: targets.other.token }),
    );
    expect(json).toMatchObject({ id: targets.other.id, data: { note: SECRET }, subject: "ada" });
    const own = await rawRequest(
      { port },
      request("GET", "/v1/sessions/user/current", { credential: bank, token: targets.live.token }),
    );
    expect(own.json).toMatchObject({ data: { own: 9 }, subject: "bob" });
    expect((await rawRequest({ port }, request("GET", "/readyz"))).status).toBe(200);
    expect((await memory()) - memoryBefore).toBeLessThan(200 * 1024 * 1024);
  });

  test("nothing secret is in what it printed and counts", async () => {
    const said = server.process.output() + (await metrics());
    const { other, live, ended, expired } = targets;
    const secrets = [
      shop,
      bank,
      gone,
      SECRET,
      "ada",
      ...[other, live, ended, expired].flatMap(({ token, id }) => [token, id]),
    ];
    for (const secret of secrets) expect(said).not.toContain(secret);
    expect(said).not.toMatch(/ {4}at |a request failed/);
    expect(/^coatcheck_requests_total\{.*class="5xx"\} (\d+)$/m.exec(said)).toBeNull();
  });
});
