/**
 * The conformance kit for adapters, as data: it runs under every test runner, on our adapters and on a stranger's.
 *
 * @example
 * ```ts
 * import { once } from "node:events";
 * import { createServer } from "node:http";
 * import type { AddressInfo } from "node:net";
 * import { sessions } from "coatcheck/express";
 *
 * for (const { name, run } of adapterCases) {
 *   test(name, () =>
 *     run(async (routes, ...definitions) => {
 *       app.use(sessions(...definitions));
 *       for (const { path, handle } of routes) {
 *         app.all(path, (request, response) =>
 *           handle({
 *             request,
 *             respond: ({ status = 200, body }) => response.status(status).send(body), // and headers, and chunks
 *             gone: () => once(response, "close"),
 *           }),
 *         );
 *       }
 *       const server = createServer(app).listen(0, "127.0.0.1");
 *       await once(server, "listening");
 *       const { port } = server.address() as AddressInfo;
 *       return { origin: `http://127.0.0.1:${port}`, close: () => server.close() };
 *     }),
 *   );
 * }
 * ```
 *
 * @module
 */
import { systemClock } from "../internal/clock.ts";
import type { AdapterCase, AdapterRoute, KitData } from "./adapter-kit.ts";
import {
  breakStore,
  counting,
  ensure,
  gate,
  kitSession,
  kitStore,
  same,
  sameAsUnavailable,
  serving,
  showing,
  shown,
  slowStore,
  turn,
} from "./adapter-kit.ts";
import { urlAdapterCases } from "./url-adapter-cases.ts";
import type { Session } from "../session/session.ts";
import type { SessionDefinition } from "../definition.ts";

export type {
  AdapterAnswer,
  AdapterCase,
  AdapterContext,
  AdapterRoute,
  AdapterServer,
  AdapterUnderTest,
  NodePair,
} from "./adapter-kit.ts";

const PUBLIC = "public, max-age=60";

const needed: readonly AdapterCase[] = [
  {
    name: "a request that does not look at its session costs no store call and gets no header",
    async run(make) {
      const store = kitStore();
      const user = kitSession(store);
      const plain: AdapterRoute = { path: "/plain", handle: ({ respond }) => respond({ body: "plain" }) };
      await serving(make, [plain, counting(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        store.calls.length = 0;
        const response = await browser.fetch("/plain");
        same(await response.text(), "plain", "body");
        same(store.calls, [], "store calls");
        for (const name of ["vary", "cache-control", "set-cookie"]) same(response.headers.get(name), null, name);
      });
    },
  },
  {
    name: "a session that is only read costs one store call and no Set-Cookie, and the response varies by Cookie",
    async run(make) {
      const store = kitStore();
      const user = kitSession(store);
      await serving(make, [counting(user), showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        store.calls.length = 0;
        const response = await browser.fetch("/show");
        same(await response.json(), { count: 1, isNew: false }, "session");
        same(store.calls, ["read"], "store calls");
        same(response.headers.getSetCookie(), [], "Set-Cookie");
        same(response.headers.get("vary"), "Cookie", "Vary");
        same(response.headers.get("cache-control"), null, "Cache-Control");
      });
    },
  },
  {
    name: "a write costs two store calls, and a Set-Cookie only when the client has no token yet",
    async run(make) {
      const store = slowStore();
      const user = kitSession(store);
      await serving(make, [counting(user)], [user], async ({ agent }) => {
        const browser = agent();
        same((await browser.fetch("/count")).headers.getSetCookie().length, 1, "Set-Cookie lines at first");
        store.calls.length = 0;
        const again = await browser.fetch("/count");
        same(await again.text(), "2", "count");
        same(store.calls, ["read", "update"], "store calls");
        same(again.headers.getSetCookie(), [], "Set-Cookie afterwards");
      });
    },
  },
  {
    name: "a request is judged by when it arrived, not by when its handler asked for the session",
    async run(make) {
      let time = systemClock.now();
      const user = kitSession(kitStore(), { clock: { now: () => time, after: systemClock.after } });
      const route: AdapterRoute = {
        path: "/slow",
        async handle({ request, respond }) {
          const arrivedAt = time;
          time += 5000;
          const { lastSeenAt } = await user.from(request);
          return respond({ body: String(lastSeenAt - arrivedAt) });
        },
      };
      await serving(make, [route], [user], async ({ get }) => same(await (await get("/slow")).text(), "0", "delay"));
    },
  },
  {
    name: "an empty new session is neither stored nor sent",
    async run(make) {
      const store = kitStore();
      const user = kitSession(store);
      await serving(make, [showing(user)], [user], async ({ get }) => {
        same((await get("/show")).headers.getSetCookie(), [], "Set-Cookie");
        same(store.calls, [], "store calls");
      });
    },
  },
  {
    name: "a session that travels in its cookie is written and read",
    async run(make) {
      const user = kitSession(kitStore(), {
        store: undefined,
        keys: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        revocation: "none",
        idleTimeout: "30m",
      });
      await serving(make, [counting(user), showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        await browser.fetch("/count");
        same(await shown(browser), { count: 2, isNew: false }, "session");
      });
    },
  },
];

const order: readonly AdapterCase[] = [
  {
    name: "a redirect arrives after the session is written: who follows at once sees it",
    async run(make) {
      const store = kitStore();
      let written = false;
      store.before = async (verb) => {
        for (let turns = 0; turns < 5; turns++) await turn();
        written ||= verb === "create";
      };
      const user = kitSession(store);
      const login: AdapterRoute = {
        path: "/login",
        async handle({ request, respond }) {
          (await user.from(request)).authenticate("ada");
          return respond({ status: 303, headers: { Location: "/show" } });
        },
      };
      await serving(make, [login, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        const redirect = await browser.fetch("/login", { method: "POST" });
        ensure(written, "the response must not arrive before the session is written");
        same(redirect.status, 303, "status");
        same(redirect.headers.get("location"), "/show", "Location");
        same(await shown(browser), { subject: "ada", isNew: false }, "session");
      });
    },
  },
  {
    name: "after `await session.commit()` a response streams: its first chunk arrives before the handler ends",
    async run(make) {
      const user = kitSession(slowStore());
      const { opened, open } = gate();
      const stream: AdapterRoute = {
        path: "/stream",
        async handle({ request, respond }) {
          const session = await user.from(request);
          session.set({ count: 1 });
          same(await session.commit(), "written", "outcome");
          return respond({ body: chunks("one", opened, "two") });
        },
      };
      await serving(make, [stream, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        const response = await browser.fetch("/stream");
        const reader = readerOf(response);
        same(await reader.next(), "one", "first chunk");
        same(await shown(browser), { count: 1, isNew: false }, "session while streaming");
        open();
        same(await reader.rest(), "two", "rest");
      });
    },
  },
  {
    name: "without a commit, the first chunk waits until the session is written; order and content are kept",
    async run(make) {
      const store = slowStore();
      const user = kitSession(store);
      const big = "x".repeat(200_000);
      const stream: AdapterRoute = {
        path: "/stream",
        async handle({ request, respond }) {
          (await user.from(request)).set({ count: 1 });
          return respond({ body: chunks("one ", turn(), "two ", big, turn(), " three") });
        },
      };
      await serving(make, [stream, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        const response = await browser.fetch("/stream");
        same(response.headers.getSetCookie().length, 1, "Set-Cookie lines");
        same(store.calls, ["create"], "store calls when the head arrives");
        ensure((await response.text()) === `one two ${big} three`, "the body must be what the handler wrote");
        same(await shown(browser), { count: 1, isNew: false }, "session");
      });
    },
  },
  {
    name: "once the headers are out verbs throw, reading works, and committing an unchanged session resolves",
    async run(make) {
      const user = kitSession(slowStore());
      const late: AdapterRoute = {
        path: "/late",
        async handle({ request, respond }) {
          const session = await user.from(request);
          return respond({ body: lateWords(session) });
        },
      };
      await serving(make, [counting(user), late], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        const words = (await (await browser.fetch("/late")).text()).split(" ");
        same(words, ["start", ...Array(7).fill("ERR_SESSION_HEADERS_SENT"), "1", "unchanged"], "what happened");
      });
    },
  },
  {
    name: "a commit by hand that nobody awaits, and the one of the response, make one session",
    async run(make) {
      const store = slowStore();
      const user = kitSession(store);
      const twice: AdapterRoute = {
        path: "/twice",
        async handle({ request, respond }) {
          const session = await user.from(request);
          session.set({ count: 1 });
          void session.commit();
          return respond({ body: "done" });
        },
      };
      await serving(make, [twice, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        same((await browser.fetch("/twice")).headers.getSetCookie().length, 1, "Set-Cookie lines");
        same(store.records.size, 1, "sessions in the store");
        same(await shown(browser), { count: 1, isNew: false }, "session");
      });
    },
  },
  {
    name: "fifty requests at once that update one session are all counted",
    async run(make) {
      const user = kitSession(slowStore());
      await serving(make, [counting(user), showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        await Promise.all(Array.from({ length: 50 }, () => browser.fetch("/count")));
        same(await shown(browser), { count: 51, isNew: false }, "session");
      });
    },
  },
];

const headers: readonly AdapterCase[] = [
  {
    name: "`Cache-Control: no-store` goes with every Set-Cookie, whatever the handler said",
    run: (make) =>
      serveSetting(make, { "Cache-Control": PUBLIC }, (response) => {
        same(response.headers.get("cache-control"), "no-store", "Cache-Control");
      }),
  },
  {
    name: "the handler's own Set-Cookie headers arrive, and a list that it shares among requests stays its own",
    async run(make) {
      const shared = ["a=1", "b=2"];
      const check = (response: Response): void => {
        const names = response.headers.getSetCookie().map((line) => line.split("=")[0]);
        same(names.slice(0, 2), ["a", "b"], "the handler's cookies");
        same(names.length, 3, "Set-Cookie lines");
      };
      await serveSetting(make, { "Set-Cookie": shared }, check);
      same(shared, ["a=1", "b=2"], "the list of the app");
      await serveSetting(make, { "Set-Cookie": ["a=1", "b=2"] }, check);
    },
  },
  {
    name: "`Vary` of the handler is added to; `*` already says all; Cookie is not named twice",
    async run(make) {
      for (const [given, expected] of [
        ["Accept", "Accept, Cookie"],
        ["*", "*"],
        ["accept, cookie", "accept, cookie"],
      ] as const) {
        await serveSetting(make, { Vary: given }, (response) => same(response.headers.get("vary"), expected, "Vary"));
      }
    },
  },
  ...[
    { what: "a response to HEAD", method: "HEAD", status: 200 },
    { what: "a 204", method: "DELETE", status: 204 },
    { what: "a 304", method: "GET", status: 304 },
  ].map(({ what, method, status }): AdapterCase => ({
    name: `${what} carries its session`,
    async run(make) {
      const user = kitSession(slowStore());
      const route: AdapterRoute = {
        path: "/empty",
        async handle({ request, respond }) {
          (await user.from(request)).set({ count: 1 });
          return respond({ status, headers: { ETag: '"1"' } });
        },
      };
      await serving(make, [route, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        const response = await browser.fetch("/empty", { method });
        same(response.status, status, "status");
        same(response.headers.get("etag"), '"1"', "ETag");
        same(response.headers.get("cache-control"), "no-store", "Cache-Control");
        same(await response.text(), "", "body");
        same(await shown(browser), { count: 1, isNew: false }, "session");
      });
    },
  })),
  {
    name: "destroy() takes the cookie back with the attributes it was set with",
    async run(make) {
      const user = kitSession(slowStore());
      const route = using("/logout", user, (session) => session.destroy());
      await serving(make, [counting(user), route, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        const [set = ""] = (await browser.fetch("/count")).headers.getSetCookie();
        const old = browser.clone();
        const [removal = "", ...more] = (await browser.fetch("/logout")).headers.getSetCookie();
        same(more, [], "further Set-Cookie lines");
        same(attributesOf(removal), attributesOf(set), "name and attributes");
        same(browser.cookies.size, 0, "cookies left");
        same(await shown(old), { isNew: true }, "the session of who kept the cookie");
      });
    },
  },
  {
    name: "the token of a session that is gone is taken back on a navigation, never on a fetch of the page",
    async run(make) {
      const store = kitStore();
      const user = kitSession(store);
      await serving(make, [counting(user), showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        store.records.clear();
        for (const mode of ["cors", "no-cors", "same-origin"]) {
          const response = await browser.fetch("/show", { headers: { "Sec-Fetch-Mode": mode } });
          same(response.headers.getSetCookie(), [], `Set-Cookie for ${mode}`);
        }
        for (const given of [{ "Sec-Fetch-Mode": "navigate" }, {}]) {
          const tab = browser.clone();
          const [removal] = (
            await tab.fetch("/show", { headers: given as Record<string, string> })
          ).headers.getSetCookie();
          ensure(removal !== undefined && tab.cookies.size === 0, "a navigation must take the cookie back");
        }
      });
    },
  },
];

const failing: readonly AdapterCase[] = [
  ...[
    { how: "throws", fail: () => raise(new Error("a handler's mistake")) },
    { how: "rejects", fail: () => Promise.reject(new Error("a handler's mistake")) },
  ].map(({ how, fail }): AdapterCase => ({
    name: `a handler that ${how} after it changed data is answered with 500, and the data is not kept`,
    async run(make) {
      const user = kitSession(kitStore());
      const route: AdapterRoute = {
        path: "/fail",
        handle({ request }) {
          const session = user.from(request) as Session<KitData>;
          session.set({ count: 99 });
          return fail();
        },
      };
      await serving(make, [counting(user), route, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        const response = await browser.fetch("/fail");
        same(response.status, 500, "status");
        same(response.headers.getSetCookie(), [], "Set-Cookie");
        same(await shown(browser), { count: 1, isNew: false }, "session");
      });
    },
  })),
  {
    name: "a handler that throws before it looked at a session is answered with 500",
    async run(make) {
      const user = kitSession(kitStore());
      const route: AdapterRoute = { path: "/fail", handle: () => raise(new Error("a handler's mistake")) };
      await serving(make, [route], [user], async ({ get }) => {
        const response = await get("/fail");
        same(response.status, 500, "status");
        await response.text();
      });
    },
  },
  {
    name: "destroy, authenticate and regenerate are kept when the handler throws afterwards; data is not",
    async run(make) {
      const user = kitSession(slowStore());
      const failingAfter = (path: string, verb: (session: Session<KitData>) => void): AdapterRoute => ({
        path,
        async handle({ request }) {
          const session = await user.from(request);
          verb(session);
          session.set({ count: 99 });
          throw new Error("a handler's mistake");
        },
      });
      const routes = [
        counting(user),
        showing(user),
        failingAfter("/regenerate", (session) => session.regenerate()),
        failingAfter("/login", (session) => session.authenticate("ada")),
        failingAfter("/logout", (session) => session.destroy()),
      ];
      await serving(make, routes, [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        for (const [path, left] of [
          ["/regenerate", { count: 1, isNew: false }],
          ["/login", { count: 1, subject: "ada", isNew: false }],
          ["/logout", { isNew: true }],
        ] as const) {
          const before = browser.clone();
          const response = await browser.fetch(path);
          same(response.status, 500, `status of ${path}`);
          same(response.headers.getSetCookie().length, 1, `Set-Cookie lines of ${path}`);
          same(response.headers.get("cache-control"), "no-store", `Cache-Control of ${path}`);
          same(await shown(browser), left, `session after ${path}`);
          same(await shown(before), { isNew: true }, `session of the old secret after ${path}`);
        }
      });
    },
  },
  {
    name: "an error of coatcheck that the handler lets through is answered with its status",
    async run(make) {
      const store = slowStore();
      const user = kitSession(store, { concurrency: "reject" });
      const route: AdapterRoute = {
        path: "/conflict",
        async handle({ request, respond }) {
          const session = await user.from(request);
          session.set({ count: 2 });
          // Another request flashed a message in between.
          for (const [key, record] of store.records) {
            const value = JSON.stringify({ ...(JSON.parse(record.value) as object), f: [["id", "notice", "hello"]] });
            store.records.set(key, { ...record, version: "another", value });
          }
          await session.commit();
          return respond({ body: "not reached" });
        },
      };
      await serving(make, [counting(user), route], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        const response = await browser.fetch("/conflict");
        same(response.status, 409, "status");
        same(response.headers.get("cache-control"), "no-store", "Cache-Control");
      });
    },
  },
  ...[
    { how: "at once", store: () => (): void => raise(new Error("the database is away")) },
    { how: "by a promise", store: () => () => Promise.reject(new Error("the database is away")) },
  ].map(({ how, store: failure }): AdapterCase => ({
    name: `a store that cannot read, and says so ${how}, is a 503, not a missing session`,
    async run(make) {
      const store = kitStore();
      const user = kitSession(store);
      await serving(make, [counting(user), showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        store.before = failure();
        await sameAsUnavailable(await browser.fetch("/show"));
        store.before = undefined;
        same(await shown(browser), { count: 1, isNew: false }, "session when the store is back");
      });
    },
  })),
  ...[
    { how: "at once", verb: "update", failure: (): void => raise(new Error("the database is away")) },
    { how: "by a promise", verb: "update", failure: () => Promise.reject(new Error("the database is away")) },
    { how: "by never answering", verb: "update", failure: () => new Promise(() => {}) },
  ].map(({ how, verb, failure }): AdapterCase => ({
    name: `a store that cannot write, and shows it ${how}, is a 503 with nothing of what the handler prepared`,
    async run(make) {
      const store = kitStore();
      const user = kitSession(store, { storeTimeout: 0.05 });
      const route: AdapterRoute = {
        path: "/write",
        async handle({ request, respond }) {
          (await user.from(request)).set({ count: 2 });
          const given = { "X-Handler": "1", "Set-Cookie": "handler=1", "Cache-Control": PUBLIC };
          return respond({ status: 201, headers: given, body: "the handler's body" });
        },
      };
      await serving(make, [counting(user), route, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        store.before = (called) => (called === verb ? failure() : undefined);
        await sameAsUnavailable(await browser.fetch("/write"));
        store.before = undefined;
        same(await shown(browser), { count: 1, isNew: false }, "session when the store is back");
      });
    },
  })),
  {
    name: "a store that never answers a read is a 503 within `storeTimeout`",
    async run(make) {
      const store = kitStore();
      const user = kitSession(store, { storeTimeout: 0.05 });
      await serving(make, [counting(user), showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        store.before = () => new Promise(() => {});
        await sameAsUnavailable(await browser.fetch("/show"));
      });
    },
  },
  {
    name: 'with onStoreError: "anonymous" a request goes on without its session, and only writing throws',
    async run(make) {
      const store = kitStore();
      const user = kitSession(store, { onStoreError: "anonymous" });
      const route: AdapterRoute = {
        path: "/anonymous",
        async handle({ request, respond }) {
          const session = await user.from(request);
          return respond({ body: `${String(session.isNew)} ${codeOf(() => session.set({ count: 1 }))}` });
        },
      };
      await serving(make, [counting(user), route, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        breakStore(store, "read");
        const response = await browser.fetch("/anonymous");
        same(await response.text(), "true ERR_SESSION_STORE", "what the handler saw");
        same(response.headers.getSetCookie(), [], "Set-Cookie");
        store.before = undefined;
        same(await shown(browser), { count: 1, isNew: false }, "session when the store is back");
      });
    },
  },
  {
    name: "a streamed response whose session cannot be written is a 503 from its first byte",
    async run(make) {
      const store = kitStore();
      const user = kitSession(store);
      breakStore(store, "create");
      const route: AdapterRoute = {
        path: "/stream",
        async handle({ request, respond }) {
          (await user.from(request)).set({ count: 1 });
          return respond({
            headers: { "X-Handler": "1" },
            body: chunks("the handler's ", turn(), "body ", turn(), "goes on"),
          });
        },
      };
      await serving(make, [route], [user], async ({ get }) => sameAsUnavailable(await get("/stream")));
    },
  },
  {
    name: "when one session cannot be written, the client is still told of another that was",
    async run(make) {
      const user = kitSession(slowStore());
      const store = kitStore();
      const cart = kitSession(store, { name: "cart" });
      breakStore(store, "create");
      const login: AdapterRoute = {
        path: "/login",
        async handle({ request, respond }) {
          (await user.from(request)).authenticate("ada");
          (await cart.from(request)).set({ count: 1 });
          return respond({ headers: { "X-Handler": "1" }, body: "welcome" });
        },
      };
      await serving(make, [login, showing(user)], [user, cart], async ({ agent }) => {
        const browser = agent();
        const response = await browser.fetch("/login");
        same(response.status, 503, "status");
        same(response.headers.get("cache-control"), "no-store", "Cache-Control");
        same(response.headers.get("x-handler"), null, "X-Handler");
        same(response.headers.getSetCookie().length, 1, "Set-Cookie lines");
        same(await shown(browser), { subject: "ada", isNew: false }, "session");
      });
    },
  },
  {
    name: "what was committed by hand is told to the client even if the handler throws afterwards",
    async run(make) {
      const user = kitSession(slowStore());
      const route: AdapterRoute = {
        path: "/fail",
        async handle({ request }) {
          const session = await user.from(request);
          session.set({ count: 1 });
          await session.commit();
          throw new Error("a handler's mistake");
        },
      };
      await serving(make, [route, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        same((await browser.fetch("/fail")).status, 500, "status");
        same(await shown(browser), { count: 1, isNew: false }, "session");
      });
    },
  },
  {
    name: "a client that goes away in the middle breaks nothing, and its session is not renewed",
    async run(make) {
      let offset = 0;
      const clock = { now: () => systemClock.now() + offset, after: systemClock.after };
      const user = kitSession(slowStore(), { clock });
      let renewed = 0;
      user.manager.on("renewed", () => renewed++);
      const [entered, finished] = [gate(), gate()];
      const slow: AdapterRoute = {
        path: "/slow",
        async handle({ request, respond, gone }) {
          const session = await user.from(request);
          session.patch({ name: "Ada" });
          const leaving = gone();
          entered.open();
          await leaving;
          try {
            return await respond({ body: "too late" });
          } finally {
            await session.commit();
            finished.open();
          }
        },
      };
      const login = using("/login", user, (session) => session.authenticate("ada"));
      await serving(make, [login, slow, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/login");
        offset = 16 * 60_000;
        const controller = new AbortController();
        const request = browser.fetch("/slow", { signal: controller.signal }).then(
          () => "answered",
          () => "aborted",
        );
        await entered.opened;
        controller.abort();
        same(await request, "aborted", "request");
        await finished.opened;
        same(renewed, 0, "renewals");
        same(await shown(browser), { name: "Ada", subject: "ada", isNew: false }, "session");
        same(renewed, 1, "renewals of the next request");
      });
    },
  },
];

const installing: readonly AdapterCase[] = [
  {
    name: "two definitions live side by side, each with its cookie",
    async run(make) {
      const [user, cart] = [kitSession(slowStore()), kitSession(kitStore(), { name: "cart" })];
      const routes = [counting(user, "/user"), counting(cart, "/cart"), showing(user), showing(cart, "/show-cart")];
      await serving(make, routes, [user, cart], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/user");
        await browser.fetch("/cart");
        await browser.fetch("/cart");
        same(browser.cookies.size, 2, "cookies");
        same(
          [await shown(browser), await shown(browser, "/show-cart")].map(({ count }) => count),
          [1, 2],
          "counts",
        );
      });
    },
  },
  {
    name: "definitions of a route are added to those of the app",
    async run(make) {
      const [user, cart] = [kitSession(slowStore()), kitSession(kitStore(), { name: "cart" })];
      const both: AdapterRoute = {
        path: "/both",
        definitions: [cart],
        async handle({ request, respond }) {
          (await user.from(request)).set({ count: 1 });
          (await cart.from(request)).set({ count: 2 });
          return respond({ body: "both" });
        },
      };
      const without: AdapterRoute = {
        path: "/without",
        handle: ({ request, respond }) => respond({ body: nameOf(() => cart.from(request)) }),
      };
      await serving(make, [both, without], [user], async ({ get }) => {
        same((await get("/both")).headers.getSetCookie().length, 2, "Set-Cookie lines");
        same(await (await get("/without")).text(), "TypeError", "of a definition that is installed elsewhere");
      });
    },
  },
  {
    name: "a handler that throws on a route with definitions of its own is answered once, with 500",
    async run(make) {
      const [user, cart] = [kitSession(slowStore()), kitSession(kitStore(), { name: "cart" })];
      const route: AdapterRoute = {
        path: "/fail",
        definitions: [cart],
        async handle({ request }) {
          (await user.from(request)).authenticate("ada");
          throw new Error("a handler's mistake");
        },
      };
      await serving(make, [route, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        same((await browser.fetch("/fail")).status, 500, "status");
        same(await shown(browser), { subject: "ada", isNew: false }, "session");
      });
    },
  },
  {
    name: "installing one definition twice is no mistake",
    async run(make) {
      const user = kitSession(kitStore());
      const route: AdapterRoute = { ...counting(user), definitions: [user] };
      await serving(make, [route], [user, user], async ({ get }) => {
        same((await get("/count")).headers.getSetCookie().length, 1, "Set-Cookie lines");
      });
    },
  },
  {
    name: "two definitions that use one cookie name are refused with a TypeError",
    async run(make) {
      const [user, other] = [kitSession(kitStore()), kitSession(kitStore())];
      let refused: unknown;
      try {
        await (await make([], user, other)).close();
      } catch (error) {
        refused = error;
      }
      ensure(refused instanceof TypeError, "installing them must throw a TypeError");
    },
  },
  {
    name: "`from()` of a definition that is not installed throws a TypeError",
    async run(make) {
      const [user, cart] = [kitSession(kitStore()), kitSession(kitStore(), { name: "cart" })];
      const route: AdapterRoute = {
        path: "/from",
        handle: ({ request, respond }) => respond({ body: nameOf(() => cart.from(request)) }),
      };
      await serving(make, [route], [user], async ({ get }) =>
        same(await (await get("/from")).text(), "TypeError", "error"),
      );
    },
  },
  {
    name: "`from()` answers with the same session however often it is called, for one store call",
    async run(make) {
      const store = slowStore();
      const user = kitSession(store);
      const route: AdapterRoute = {
        path: "/five",
        async handle({ request, respond }) {
          const sessions = await Promise.all([1, 2, 3, 4].map(() => user.from(request)));
          const fifth = await user.from(request);
          return respond({ body: String(sessions.every((session) => session === fifth)) });
        },
      };
      await serving(make, [counting(user), route], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        store.calls.length = 0;
        same(await (await browser.fetch("/five")).text(), "true", "same session");
        same(store.calls, ["read"], "store calls");
      });
    },
  },
  {
    name: "a session that was asked for and never awaited does no harm when the store fails",
    async run(make) {
      const store = kitStore();
      const user = kitSession(store);
      const route: AdapterRoute = {
        path: "/prefetch",
        handle({ request, respond }) {
          void user.from(request);
          return respond({ body: "fine" });
        },
      };
      await serving(make, [counting(user), route], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        breakStore(store, "read");
        ensure([200, 503].includes((await browser.fetch("/prefetch")).status), "there must be an answer");
      });
    },
  },
];

/** What users of an adapter get, each sentence with its check. */
export const adapterCases: readonly AdapterCase[] = [
  ...needed,
  ...order,
  ...headers,
  ...failing,
  ...installing,
  ...urlAdapterCases,
];

// --- what the cases are made of -----------------------------------------------------------------------------------------

function using(
  path: string,
  definition: SessionDefinition<KitData>,
  verb: (session: Session<KitData>) => void,
): AdapterRoute {
  return {
    path,
    async handle({ request, respond }) {
      verb(await definition.from(request));
      return respond({ body: "done" });
    },
  };
}

/** Checks the response of a handler that begins a session and sets headers. */
async function serveSetting(
  make: Parameters<AdapterCase["run"]>[0],
  given: Readonly<Record<string, string | readonly string[]>>,
  check: (response: Response) => void,
): Promise<void> {
  for (const store of [kitStore(), slowStore()]) {
    const user = kitSession(store);
    const route: AdapterRoute = {
      path: "/set",
      async handle({ request, respond }) {
        (await user.from(request)).set({ count: 1 });
        return respond({ headers: given, body: "set" });
      },
    };
    await serving(make, [route], [user], async ({ get }) => {
      const response = await get("/set");
      same(await response.text(), "set", "body");
      check(response);
    });
  }
}

/** Yields the texts and waits for the promises, in order. */
async function* chunks(...parts: readonly (string | Promise<void>)[]): AsyncGenerator<string> {
  for (const part of parts) {
    if (typeof part === "string") yield part;
    else await part;
  }
}

async function* lateWords(session: Session<KitData>): AsyncGenerator<string> {
  yield "start ";
  // The next chunk is asked for when the first is out.
  const verbs = [
    () => session.set({}),
    () => session.patch({}),
    () => session.update(() => ({})),
    () => session.authenticate("ada"),
    () => session.regenerate(),
    () => session.flash("notice", "late"),
    () => session.destroy(),
  ];
  yield verbs.map((verb) => `${codeOf(verb)} `).join("");
  yield `${session.data?.count} `;
  yield await session.commit();
}

function readerOf(response: Response): { next(): Promise<string>; rest(): Promise<string> } {
  ensure(response.body !== null, "there must be a body");
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const next = async (): Promise<string> => decoder.decode((await reader.read()).value);
  return {
    next,
    async rest() {
      let text = "";
      for (let part = await next(); part !== ""; part = await next()) text += part;
      return text;
    },
  };
}

function raise(error: Error): never {
  throw error;
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return "nothing";
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

function nameOf(work: () => unknown): string {
  try {
    work();
    return "nothing";
  } catch (error) {
    return (error as Error).name;
  }
}

/** Name and attributes of a `Set-Cookie` line, but for how long it is to be kept. */
function attributesOf(line: string): readonly string[] {
  const [pair = "", ...rest] = line.split("; ");
  const kept = rest.filter((attribute) => !/^(max-age|expires)=/i.test(attribute));
  return [pair.slice(0, pair.indexOf("=")), ...kept.toSorted()];
}
