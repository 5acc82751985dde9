import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { userSession } from "../../examples/forward-auth/app.ts";
import { namespacedStore } from "../../src/server/namespaced-store.ts";
import { sqliteStore, type SqliteStore } from "../../src/store/sqlite.ts";
import { certificates } from "../servers/certificates.ts";
import { startNginx } from "../servers/nginx.ts";
import { describeWithServers } from "../servers/require.ts";
import { startSessionServer, type TestSessionServer } from "../servers/session-server.ts";
import { forwardAuthCases } from "./forward-auth-cases.ts";
import { NAVIGATION, PAGES, SECRET, startBehind, visitor, type Site, type StartProxy } from "./forward-auth-site.ts";

const { cert, key } = certificates().server;

const start: StartProxy = async (files, config) => {
  const pages = Object.fromEntries(Object.entries(PAGES).map(([name, text]) => [`site/${name}`, text]));
  const { port, stop } = await startNginx({ ...files, ...pages, "site.pem": cert, "site.key": key }, config);
  return { port, stop };
};

describeWithServers("forward-auth by nginx", ["nginx"], () => {
  forwardAuthCases({ file: "nginx.conf" }, start);
});

describeWithServers("forward-auth by nginx and `coatcheck serve`", ["nginx"], () => {
  let server: TestSessionServer;
  let store: SqliteStore;
  let site: Pick<Site, "port" | "stop">;

  beforeAll(async () => {
    server = await startSessionServer({ args: ["--store", "sqlite:sessions.db", "--forward-auth", "shop/user"] });
    // The application has the same file, and there the part of it that the session server calls `shop`.
    store = sqliteStore(join(server.directory, "sessions.db"));
    const user = userSession({ store: namespacedStore(store, "shop") });
    site = await startBehind({ file: "nginx.conf" }, start, user, Number(new URL(server.url).port));
  });

  afterAll(async () => {
    await site?.stop();
    await store?.close();
    await server?.stop();
  });

  test("a page is seen by who is signed in, until they sign out; and by nobody when the server is gone", async () => {
    const page = "/private/page.html";
    const [ada, bob] = [visitor(site), visitor(site)];
    const seen = async (who: typeof ada): Promise<[number, boolean]> => {
      const answer = await who.get(page);
      return [answer.status, (await answer.text()).includes(SECRET)];
    };
    expect(await seen(ada)).toEqual([401, false]);
    for (const who of [ada, bob]) await who.signIn("somebody");
    expect(await seen(ada)).toEqual([200, true]);
    expect(await (await ada.get("/account/")).json()).toMatchObject({ subject: "somebody", header: "somebody" });
    const kept = ada.agent.clone();
    await ada.signOut();
    for (const [name, cookie] of kept.cookies) ada.agent.cookies.set(name, cookie);
    expect(await seen(ada)).toEqual([401, false]);
    expect((await ada.get(page, NAVIGATION)).headers.get("location")).toBe(`/sign-in?return=${page}`);
    expect(await seen(bob)).toEqual([200, true]);
    await server.kill();
    expect(await seen(bob)).toEqual([503, false]);
    await server.restart();
    expect(await seen(bob)).toEqual([200, true]);
  });
});
