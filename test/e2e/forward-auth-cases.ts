/**
 * What forward-auth promises, as tests for a proxy with a configuration of `examples/forward-auth`.
 */
import { Agent } from "node:https";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { MINUTE } from "../testbed.ts";
import { hostileHeads, hostileRequests } from "./forward-auth-hostile.ts";
import {
  HOST,
  NAVIGATION,
  overHttp2,
  raw,
  rawHttp2,
  SECRET,
  startSite,
  type Example,
  visitor,
  type Site,
  type StartProxy,
} from "./forward-auth-site.ts";

const COOKIE = "__Host-Http-user";
const PAGE = "/private/page.html";

/** Defines the tests. `tellsAll`: the proxy hands all headers of a request to the session server. */
export function forwardAuthCases(
  { tellsAll = false, ...example }: Example & { tellsAll?: boolean },
  startProxy: StartProxy,
): void {
  let site: Site;
  beforeAll(async () => {
    site = await startSite(example, startProxy);
  });
  afterAll(async () => await site?.stop());
  beforeEach(() => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    for (const { requests } of [site.sessionServer, site.app, site.pages]) requests.length = 0;
    return () => vi.restoreAllMocks();
  });

  test("who is not signed in sees nothing, and is sent to sign in from a page", async () => {
    const ada = visitor(site);
    for (const path of ["/", PAGE, "/account/", "/nowhere"]) {
      const answer = await ada.get(path);
      expect([path, answer.status]).toEqual([path, 401]);
      expect(await answer.text()).not.toContain(SECRET);
      const sent = await ada.get(`${path}?a=1&b=%2F`, NAVIGATION);
      expect([sent.status, sent.headers.get("location")]).toEqual([303, `/sign-in?return=${path}?a=1&b=%2F`]);
      expect(sent.headers.get("cache-control")).toContain("no-store");
    }
    expect((await ada.get(PAGE, { Accept: "text/html" })).status).toBe(303);
    expect((await ada.get(PAGE, { "Sec-Fetch-Mode": "cors", Accept: "text/html" })).status).toBe(401);
    expect((await ada.get("/account/", NAVIGATION, "POST")).headers.get("location")).toBe("/sign-in?return=/");
    expect((await ada.get(PAGE, {}, "HEAD")).status).toBe(401);
    expect([site.app.requests, site.pages.requests]).toEqual([[], []]);
  });

  test("who has signed in is back on the page and sees it, whatever the method", async () => {
    const ada = visitor(site);
    const { headers } = await ada.get(`${PAGE}?a=1&b=2`, NAVIGATION);
    const form = headers.get("location") ?? "";
    expect((await ada.get(form, NAVIGATION)).status).toBe(200);
    const back = await ada.signIn("ada", form);
    expect([back.status, back.headers.get("location")]).toEqual([303, `${PAGE}?a=1&b=2`]);
    const page = await ada.get(PAGE, NAVIGATION);
    expect([page.status, (await page.text()).includes(SECRET)]).toEqual([200, true]);
    expect(page.headers.get("cache-control")).toBe("private, no-cache");
    expect(page.headers.getSetCookie()).toEqual([]);
    expect((await ada.get(PAGE, {}, "HEAD")).status).toBe(200);
    expect((await ada.get("/forward-auth")).status).toBe(404);
  });

  test("cookies may come in several lines, and over HTTP/2", async () => {
    const ada = visitor(site);
    await ada.signIn("ada");
    const cookies = ["theme=dark", ada.agent.cookieHeader()];
    expect(await raw(site, lines(`GET ${PAGE} HTTP/1.1`, ...cookies.map((one) => `Cookie: ${one}`)))).toContain(SECRET);
    expect(await overHttp2(site, PAGE, cookies)).toBe(200);
    expect(await overHttp2(site, PAGE, ["theme=dark"])).toBe(401);
  });

  test("the way back leads to no other site", async () => {
    const targets: Record<string, string> = {
      "//evil.example/": "/",
      "/\\evil.example/": "/",
      "https://evil.example/": "/",
      "/%0d%0aSet-Cookie:%20a=b": "/%0d%0aSet-Cookie:%20a=b",
      "/a?return=//evil.example": "/a?return=//evil.example",
    };
    for (const [target, path] of Object.entries(targets)) {
      const answer = await raw(
        site,
        lines(`GET ${target} HTTP/1.1`, ...Object.entries(NAVIGATION).map((pair) => pair.join(": "))),
      );
      const location = /^location: (.*)\r$/im.exec(answer)?.[1];
      if (location === undefined) {
        expect([target, answer]).toEqual([target, expect.stringMatching(/^HTTP\/1\.1 (?:400|401|30[18]) /)]);
        continue;
      }
      expect(answer).not.toMatch(/^set-cookie/im);
      // What no URL has, one writes down as it should be.
      const written = location.replace(/^(.*return=)\/%5C.*/i, "$1/");
      expect([target, written]).toEqual([target, `/sign-in?return=${path}`]);
      const back = (
        await visitor(site).signIn("ada", new URL(location, `https://${HOST}/`).href.replace(`https://${HOST}`, ""))
      ).headers;
      const url = new URL(back.get("location") ?? "", `https://${HOST}/`);
      expect([target, url.host]).toEqual([target, HOST]);
    }
  });

  test("who signs out is out at once: with the kept cookie, and on an open connection", async () => {
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const sockets = new Set<string>();
    kept.on("free", (socket: { localPort?: number }) => sockets.add(String(socket.localPort)));
    const [ada, open] = [visitor(site), visitor(site, kept)];
    await ada.signIn("ada");
    for (const [name, cookie] of ada.agent.cookies) open.agent.cookies.set(name, cookie);
    const first = await open.get(PAGE);
    expect(first.status).toBe(200);
    await ada.signOut();
    expect(ada.agent.cookies.size).toBe(0);
    const etag = first.headers.get("etag") ?? '"x"';
    for (const headers of [{}, { "If-None-Match": etag }, { Range: "bytes=0-1" }]) {
      const answer = await open.get(PAGE, headers);
      expect([answer.status, (await answer.text()).includes(SECRET)]).toEqual([401, false]);
    }
    expect((await open.get("/account/")).status).toBe(401);
    expect(sockets.size).toBe(1);
    kept.destroy();
  });

  test("the application is told who it is, and nothing of what a client says it is", async () => {
    const ada = visitor(site);
    await ada.signIn("Ada Lovelace\r\nX-Session-Level: root");
    site.app.requests.length = 0;
    const names = ["X-Session-Subject", "X-Session-Id", "X-Session-Level", "X-Session-Name"];
    const spellings = names.flatMap((name) => [
      name,
      name.toUpperCase(),
      name.replaceAll("-", "_"),
      name.replace("-", "_"),
    ]);
    const forged = [...spellings, "X-Session_Level"].map((name) => `${name}: root`);
    const answer = await raw(
      site,
      lines(
        "GET /account/ HTTP/1.1",
        `Cookie: ${ada.agent.cookieHeader()}`,
        ...forged,
        "X-Session-Subject: eve",
        "Connection: X-Session-Subject",
      ),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    const [arrived] = site.app.requests;
    const identity = (arrived?.rawHeaders ?? []).filter(
      (_, index, all) => index % 2 === 0 && /session/i.test(all[index] ?? ""),
    );
    // Other names than those that are promised are the application's own business, but for spellings of these.
    expect(
      identity
        .map((name) => name.toLowerCase())
        .filter((name) => name !== "x-session-name")
        .toSorted(),
    ).toEqual(["x-session-id", "x-session-subject"]);
    expect(decodeURIComponent(String(arrived?.headers["x-session-subject"]))).toBe(
      "Ada Lovelace\r\nX-Session-Level: root",
    );
    expect(arrived?.headers["x-forwarded-proto"]).toBe("https");
    // Nor where nobody asks whose session it is.
    site.app.requests.length = 0;
    await raw(site, lines("GET /sign-in HTTP/1.1", ...forged));
    expect(
      Object.keys(site.app.requests[0]?.headers ?? {}).filter((name) => /session.(?:subject|id|level)/.test(name)),
    ).toEqual([]);
  });

  test("the session server is told the cookie, and no more, on connections that are kept", async () => {
    const ada = visitor(site);
    await ada.signIn("ada");
    const headers = { "X-Secret": "tell nobody", Authorization: "Basic YTpi", Referer: "https://elsewhere.example/" };
    for (let round = 0; round < 10; round++) await ada.get(PAGE, headers);
    await ada.agent.fetch("/account/", { method: "POST", body: "a body that is nobody's business", headers });
    expect(site.sessionServer.requests.map(({ method }) => method)).toEqual(Array.from({ length: 11 }, () => "GET"));
    for (const { headers: told, url } of site.sessionServer.requests) {
      expect(url).toBe("/forward-auth/shop/user");
      expect(told.cookie).toContain(COOKIE);
      if (!tellsAll) expect(JSON.stringify(told)).not.toMatch(/tell nobody|YTpi|elsewhere/);
      expect([told["content-length"] ?? "0", told["transfer-encoding"]]).toEqual(["0", undefined]);
    }
    expect(site.sessionServer.requests.at(-1)?.headers["x-forwarded-method"]).toBe("POST");
    expect(new Set(site.sessionServer.requests.map(({ socket }) => socket)).size).toBeLessThanOrEqual(2);
  });

  test("P10: a secret is renewed by the application's answers, and by no question of the proxy's", async () => {
    const ada = visitor(site);
    await ada.signIn("ada");
    const before = ada.agent.cookies.get(COOKIE)?.value;
    site.clock.advance(16 * MINUTE);
    site.events.length = 0;
    for (let round = 0; round < 3; round++) {
      const answer = await ada.get(PAGE, NAVIGATION);
      expect([answer.status, answer.headers.getSetCookie()]).toEqual([200, []]);
    }
    expect(site.events).toEqual(["touched"]);
    expect((await ada.get("/account/")).headers.getSetCookie()).toHaveLength(1);
    expect(site.events).toEqual(["touched", "renewed"]);
    expect(ada.agent.cookies.get(COOKIE)?.value).not.toBe(before);
    expect((await ada.get(PAGE)).status).toBe(200);
    expect(site.events.at(-1)).toBe("confirmed");
  });

  test("whoever is asked for anything while sessions cannot be read gets 503, and nothing is served", async () => {
    const ada = visitor(site);
    await ada.signIn("ada");
    const nothing = async (): Promise<void> => {
      for (const headers of [NAVIGATION, {}]) {
        const answer = await ada.get(PAGE, headers);
        expect([answer.status, (await answer.text()).includes(SECRET)]).toEqual([503, false]);
        expect(answer.headers.get("retry-after")).toBe("5");
        expect(answer.headers.get("cache-control")).toContain("no-store");
      }
      expect((await ada.get("/account/")).status).toBe(503);
      expect((await ada.get("/sign-in")).status).toBe(200);
    };
    site.store.before = () => {
      throw new Error("the store is away");
    };
    await nothing();
    site.store.before = () => undefined;
    expect((await ada.get(PAGE)).status).toBe(200);
    await site.sessionServer.end();
    await nothing();
    await site.sessionServer.begin();
    await vi.waitFor(async () => expect((await ada.get(PAGE)).status).toBe(200), { timeout: 10_000 });
  });

  test("no hostile request gets in", async () => {
    const ada = visitor(site);
    await ada.signIn("ada");
    const ended = ada.agent.cookieHeader();
    await ada.signOut();
    const eve = visitor(site);
    await eve.signIn("eve");
    const bob = visitor(site);
    await bob.signIn("bob");
    for (const { requests } of [site.app, site.pages]) requests.length = 0;
    const two = `${eve.agent.cookieHeader()}; ${bob.agent.cookieHeader()}`;
    for (const [what, request] of Object.entries(hostileRequests({ ended, two }))) {
      const answer = await raw(site, request);
      expect([what, answer.includes(SECRET)]).toEqual([what, false]);
      expect([what, /"subject":(?!null)/.test(answer)]).toEqual([what, false]);
      const seen = [...site.app.requests, ...site.pages.requests].map(({ url = "" }) => url);
      // The pages for everybody, in the only spelling that the application takes for them.
      expect([what, seen.filter((url) => !/^\/sign-(?:in|out)(?:\?|$)/.test(url))]).toEqual([what, []]);
    }
    for (const [what, head] of Object.entries(hostileHeads(bob.agent.cookieHeader()))) {
      const answer = await rawHttp2(site, head);
      expect([what, answer.includes(SECRET)]).toEqual([what, false]);
      expect([what, /"subject":(?!null)/.test(answer)]).toEqual([what, false]);
      const seen = [...site.app.requests, ...site.pages.requests].map(({ url = "" }) => url);
      expect([what, seen.filter((url) => !/^\/sign-(?:in|out)(?:\?|$)/.test(url))]).toEqual([what, []]);
    }
    expect((await eve.get(PAGE)).status).toBe(200);
  });

  test("many at a time, on connections that all share: each is who it is", async () => {
    const names = ["ada", "bob", "cleo", ""];
    const agent = new Agent({ keepAlive: true, maxSockets: 3 });
    const visitors = await Promise.all(
      names.map(async (name) => {
        const who = visitor(site, agent);
        if (name !== "") await who.signIn(name);
        return { name, who };
      }),
    );
    const asked = Array.from(
      { length: 120 },
      (_, i) => visitors[i % visitors.length] ?? { name: "", who: visitor(site) },
    );
    const answers = await Promise.all(
      asked.map(async ({ name, who }, i) => {
        const answer = await who.get("/account/", {}, i % 7 === 0 ? "HEAD" : "GET");
        const text = await answer.text();
        const said = text.startsWith("{") ? (JSON.parse(text) as { subject: string; header: string }) : undefined;
        return { name, status: answer.status, subject: said?.subject ?? name, header: said?.header ?? name };
      }),
    );
    for (const { name, status, subject, header } of answers) {
      expect([name, status, subject, header]).toEqual([name, name === "" ? 401 : 200, name, name]);
    }
    agent.destroy();
  });
}

/** A request as it goes over the wire. */
function lines(first: string, ...headers: readonly string[]): string {
  const closes = headers.some((line) => /^connection:/i.test(line)) ? [] : ["Connection: close"];
  const text = [first, `Host: ${HOST}`, ...headers, ...closes].join("\r\n");
  return `${text.replace(/^(connection: )(?!close)/im, "$1close, ")}\r\n\r\n`;
}
