/**
 * The cases of the adapter kit about sessions in URLs: no handler sees a token, no other site is told of one.
 *
 * @module
 */
import type { SessionDefinition, SessionOptions } from "../definition.ts";
import { cookie } from "../transport/cookie.ts";
import { url } from "../transport/url.ts";
import type { AdapterCase, AdapterRoute, KitClient, KitData } from "./adapter-kit.ts";
import { ensure, kitSession, kitStore, same, serving } from "./adapter-kit.ts";

interface Shop {
  readonly user: SessionDefinition<KitData>;
  readonly routes: readonly AdapterRoute[];
}

function shop(options: Partial<SessionOptions> = {}): Shop {
  const user = kitSession(kitStore(), { transport: url(), ...options });
  const start: AdapterRoute = {
    path: "/start",
    async handle({ request, respond }) {
      const session = await user.from(request);
      session.set({ count: 1 });
      await session.commit();
      return respond({ body: session.link("/page?x=1"), headers: { "Cache-Control": "public" } });
    },
  };
  const page: AdapterRoute = {
    path: "/page",
    async handle({ request, respond }) {
      const session = await user.from(request);
      return respond({
        body: JSON.stringify({ count: session.data?.count, seen: targetsOf(request), link: session.link("/next") }),
        headers: { "Referrer-Policy": "unsafe-url" },
      });
    },
  };
  const plain: AdapterRoute = {
    path: "/plain",
    handle: ({ request, respond }) =>
      respond({ body: JSON.stringify(targetsOf(request)), headers: { "Referrer-Policy": "unsafe-url" } }),
  };
  return { user, routes: [start, page, plain] };
}

/** Every text in which a handler may find the target of its request. */
function targetsOf(request: object): string[] {
  const holders = [request, ...["req", "raw", "request"].map((name) => Reflect.get(request, name) as unknown)];
  return holders.flatMap((holder) => {
    if (typeof holder !== "object" || holder === null) return [];
    const named = ["url", "originalUrl", "href", "search"].map((name) => Reflect.get(holder, name) as unknown);
    const query: unknown = Reflect.get(holder, "query");
    const parsed = typeof query === "object" ? JSON.stringify(query) : undefined;
    return [...named, parsed].filter((text): text is string => typeof text === "string");
  });
}

function tokenIn(link: string): string {
  const token = new URL(link, "http://localhost").searchParams.get("user") ?? "";
  ensure(token.length >= 43, `a link that carries a token was expected, and it is ${JSON.stringify(link)}`);
  return token;
}

async function started({ get }: KitClient): Promise<string> {
  const response = await get("/start");
  same(response.headers.getSetCookie(), [], "Set-Cookie");
  same(response.headers.get("cache-control"), "no-store", "Cache-Control of a page with links");
  return await response.text();
}

export const urlAdapterCases: readonly AdapterCase[] = [
  {
    name: "url(): a link brings the session back, and no handler sees its token",
    async run(make) {
      const { user, routes } = shop();
      await serving(make, routes, [user], async (client) => {
        const link = await started(client);
        const token = tokenIn(link);
        const response = await client.get(link);
        const { count, seen, link: next } = (await response.json()) as { count: number; seen: string[]; link: string };
        same(count, 1, "count");
        same(tokenIn(next), token, "the token of the next link");
        ensure(
          seen.some((text) => text.includes("x=1") || text.includes('"x"')),
          "the rest stays",
        );
        ensure(!seen.some((text) => text.includes(token)), `the handler must not see the token: ${seen.length} texts`);
        same(response.headers.get("referrer-policy"), "no-referrer", "Referrer-Policy");
        same(response.headers.get("cache-control"), "no-store", "Cache-Control");
      });
    },
  },
  {
    name: "url(): a request that does not look at its session shows no token either, nor tells other sites of one",
    async run(make) {
      const { user, routes } = shop();
      await serving(make, routes, [user], async (client) => {
        const token = tokenIn(await started(client));
        const response = await client.get(`/plain?a=1&user=${token}&b=2`);
        const text = await response.text();
        ensure(!text.includes(token), "the handler must not see the token");
        same(response.headers.get("referrer-policy"), "no-referrer", "Referrer-Policy");
        same((await client.get("/plain?a=1")).headers.get("referrer-policy"), "unsafe-url", "without a token");
      });
    },
  },
  {
    name: "url(): a request with a body keeps its method and body",
    async run(make) {
      const { user, routes } = shop();
      const form: AdapterRoute = {
        path: "/form",
        async handle({ request, respond }) {
          const session = await user.from(request);
          session.update((data) => ({ count: (data?.count ?? 0) + 1 }));
          const holder = request as { method?: string; req?: { method?: string } };
          return respond({ body: `${holder.method ?? holder.req?.method} ${session.data?.count}` });
        },
      };
      await serving(make, [...routes, form], [user], async (client) => {
        const token = tokenIn(await started(client));
        const response = await client.get(`/form?user=${token}`, { method: "POST", body: "a=1" });
        same(await response.text(), "POST 2", "answer");
      });
    },
  },
  {
    name: "several transports: the first that carries a token counts, and links carry one for clients without cookies only",
    async run(make) {
      const { user, routes } = shop({ transport: [cookie(), url()] });
      await serving(make, routes, [user], async ({ agent, get }) => {
        const browser = agent();
        tokenIn(await (await browser.fetch("/start")).text());
        const known = (await (await browser.fetch("/page?x=1")).json()) as { count: number; link: string };
        same([known.count, known.link], [1, "/next"], "a link for a client that has shown its cookie");
        const token = [...browser.cookies.values()][0]?.value ?? "";
        const shared = (await (await get(`/page?user=${token}`)).json()) as { count: number; link: string };
        same([shared.count, tokenIn(shared.link)], [1, token], "by the same token in the URL");
      });
    },
  },
];
