/**
 * Cases for adapters whose handlers hold a response of Node: what such a handler may do to it while its session is on the
 * way to the store.
 *
 * @module
 */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable, Transform } from "node:stream";
import type { SessionDefinition } from "../definition.ts";
import type { SessionRequest } from "../session/request.ts";
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
  type AdapterCase,
  type AdapterRoute,
  type KitData,
  type KitStore,
  type NodePair,
} from "./adapter-kit.ts";
import type { WireResponse } from "./wire-fetch.ts";

type Handle = (res: ServerResponse, req: IncomingMessage) => unknown;

const untouched: readonly AdapterCase[] = [
  {
    name: "methods of the response that were looked up before the session was there are held like any others",
    async run(make) {
      for (const store of [kitStore(), slowStore()]) {
        const user = kitSession(store);
        const begun = async (request: SessionRequest): Promise<string> => {
          const session = await user.from(request);
          session.set({ count: 1 });
          await session.commit();
          session.patch({ name: "ada" });
          return "begun";
        };
        const early = (
          path: string,
          send: (res: ServerResponse, request: SessionRequest) => unknown,
        ): AdapterRoute => ({
          path,
          handle: async ({ request, node }) => void (await send(responseIn(node).res, request)),
        });
        const routes = [
          early("/end", async (res, request) => res.end(await begun(request))),
          early("/write", async (res, request) => [res.write(await begun(request)), res.end()]),
          early("/head", async (res, request) => res.writeHead(200, { "X-Mine": await begun(request) }).end("begun")),
        ];
        await serving(make, [...routes, showing(user)], [user], async ({ agent }) => {
          for (const { path } of routes) {
            const browser = agent();
            const response = await browser.fetch(path);
            same([response.status, await response.text()], [200, "begun"], path);
            same(await shown(browser), { count: 1, name: "ada", isNew: false }, `session after ${path}`);
          }
        });
      }
    },
  },
  {
    name: "a session that is first asked for when the headers are out can be read, and not changed",
    async run(make) {
      const user = kitSession(slowStore());
      const route: AdapterRoute = {
        path: "/late",
        async handle({ request, node }) {
          const { res } = responseIn(node);
          res.write("start ");
          const session = await user.from(request);
          const code = thrownBy(() => session.set({ count: 2 }));
          res.end(`${session.data?.count} ${code} ${await session.commit()}`);
        },
      };
      await serving(make, [counting(user), route], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/count");
        same(await (await browser.fetch("/late")).text(), "start 1 ERR_SESSION_HEADERS_SENT unchanged", "body");
      });
    },
  },
];

const heads: readonly AdapterCase[] = [
  ...[
    { form: "an object", headers: { "Cache-Control": "public", "Set-Cookie": ["a=1", "b=2"], "X-Mine": 1 } },
    {
      form: "a flat array",
      headers: ["Cache-Control", "public", "Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-Mine", "1"],
    },
    {
      form: "an array of pairs",
      headers: [
        ["Cache-Control", "public"],
        ["Set-Cookie", ["a=1"]],
        ["set-cookie", "b=2"],
        ["X-Mine", "1"],
      ],
    },
  ].map(({ form, headers }): AdapterCase => ({
    name: `headers that writeHead is given as ${form} go out, and ours have the last word`,
    run: (make) =>
      eachStore(
        make,
        (res) => res.writeHead(201, headers as string[]).end("made"),
        async (response) => {
          same(response.status, 201, "status");
          same(await response.text(), "made", "body");
          same(response.headers.get("x-mine"), "1", "X-Mine");
          same(response.headers.get("cache-control"), "no-store", "Cache-Control");
          const cookies = response.headers.getSetCookie();
          same([cookies.length, ...cookies.slice(0, 2)], [3, "a=1", "b=2"], "Set-Cookie");
        },
      ),
  })),
  {
    name: "a reason phrase that writeHead is given goes out, where the protocol has one",
    run: (make) =>
      eachStore(
        make,
        (res, req) =>
          (req.httpVersionMajor < 2
            ? res.writeHead(200, "Fine", { "X-Mine": "1" })
            : res.writeHead(200, { "X-Mine": "1" })
          ).end(),
        async (response) => {
          ensure(["Fine", ""].includes(response.statusText), "the reason phrase must be the handler's");
          same(response.headers.get("x-mine"), "1", "X-Mine");
        },
      ),
  },
  {
    name: "cookies that the app appends from lists of its own do not get into those lists, nor does ours",
    async run(make) {
      const shared: readonly string[] = ["a=1"];
      const passed: readonly string[] = ["c=3"];
      await eachStore(
        make,
        (res) => res.writeHead(200, { "Set-Cookie": passed as string[] }).end("done"),
        async (response) => same(response.headers.getSetCookie().length, 2, "Set-Cookie lines"),
        (res) => res.setHeader("Set-Cookie", shared),
      );
      same([shared, passed], [["a=1"], ["c=3"]], "the app's lists");
    },
  },
  {
    name: "when the commit fails, headers of middleware before the handler stay as they were",
    async run(make) {
      const store = kitStore();
      for (const broken of [store, kitStore()]) {
        const user = kitSession(broken);
        if (broken === store) breakStore(broken, "create");
        else broken.before = () => raise();
        const before = ({ res }: NodePair): void => {
          (res as ServerResponse).setHeader("X-Before", "1");
          (res as ServerResponse).setHeader("Set-Cookie", ["before=1"]);
        };
        const route = writing(user, (res, { httpVersionMajor }) => {
          res.setHeader("X-Before", "changed by the handler");
          res.appendHeader("Set-Cookie", "handler=1");
          if (httpVersionMajor < 2) res.statusMessage = "handler";
          res.writeHead(201, { "X-Handler": "1" }).end("the handler's body");
        });
        await serving(make, [{ ...route, before }], [user], async ({ get }) => {
          const response = await get("/write");
          same(response.status, 503, "status");
          same(response.headers.get("x-before"), "1", "X-Before");
          same(response.headers.getSetCookie(), ["before=1"], "Set-Cookie");
          same(response.headers.get("x-handler"), null, "X-Handler");
          ensure(response.statusText !== "handler", "the handler's reason phrase must not go out");
          ensure(!(await response.text()).includes("handler"), "the handler's body must not go out");
        });
      }
    },
  },
  {
    name: "flushHeaders sends the head with the session, and the body follows",
    run: (make) =>
      eachStore(
        make,
        async (res) => {
          res.flushHeaders();
          same(
            [res.headersSent, thrownBy(() => res.setHeader("X-Late", "1"))],
            [true, "ERR_HTTP_HEADERS_SENT"],
            "head",
          );
          await turn();
          res.end("body");
        },
        async (response) => same(await response.text(), "body", "body"),
      ),
  },
  {
    name: "a status that is set after the response was ended comes too late, as in Node",
    run: (make) =>
      eachStore(
        make,
        (res) => {
          res.statusCode = 202;
          res.end("done");
          if (!res.writableFinished) res.statusCode = 500;
        },
        async (response) => same(response.status, 202, "status"),
      ),
  },
];

const bodies: readonly AdapterCase[] = [
  ...[
    { call: "end(null)", body: "", end: (res: ServerResponse) => res.end(null) },
    { call: "end()", body: "", end: (res: ServerResponse) => res.end() },
    { call: "end(buffer)", body: "é", end: (res: ServerResponse) => res.end(Buffer.from("é")) },
    { call: "end(text, encoding)", body: "é", end: (res: ServerResponse) => res.end("w6k=", "base64") },
    {
      call: "writeHead(), write() and end(text)",
      body: "onetwo",
      end: (res: ServerResponse) => (res.writeHead(200).write("one"), res.end("two")),
    },
  ].map(({ call, body, end }): AdapterCase => ({
    name: `${call} of a response that waits is what the client gets`,
    run: (make) => eachStore(make, end, async (response) => same(await response.text(), body, "body")),
  })),
  {
    name: "a response that was ended and waits looks ended: its head is sent, changes throw as Node's do, more is ignored",
    async run(make) {
      const user = kitSession(slowStore());
      const seen: unknown[] = [];
      const called = gate();
      const route = writing(user, (res) => {
        res.end("first", called.open);
        seen.push(res.headersSent, res.writableEnded);
        seen.push(
          thrownBy(() => res.setHeader("X-Late", "1")),
          thrownBy(() => res.removeHeader("X-Late")),
        );
        seen.push(
          thrownBy(() => res.writeHead(500)),
          res.write("more"),
        );
        res.end("second");
      });
      await serving(make, [route], [user], async ({ get }) => {
        const response = await get("/write");
        same([response.status, await response.text()], [200, "first"], "response");
        const code = "ERR_HTTP_HEADERS_SENT";
        same(seen, [true, true, code, code, code, false], "what the handler saw");
        await called.opened;
      });
    },
  },
  {
    name: "a write that waits asks for patience, and gets its drain event and its callback; the order is kept",
    async run(make) {
      const user = kitSession(slowStore());
      const seen: unknown[] = [];
      const route = writing(user, async (res) => {
        const callback = new Promise((resolve) => {
          seen.push(res.write("one ", resolve));
        });
        seen.push(res.write(Buffer.from("two ")));
        await once(res, "drain");
        seen.push("drain");
        res.write("three ");
        await callback;
        res.end("four");
      });
      await serving(make, [route, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        same(await (await browser.fetch("/write")).text(), "one two three four", "body");
        same(seen, [false, false, "drain"], "what the handler saw");
        same(await shown(browser), { count: 1, isNew: false }, "session");
      });
    },
  },
  {
    name: "a large body arrives whole by pipe",
    run: (make) =>
      eachStore(
        make,
        (res) =>
          void Readable.from(Array.from({ length: 64 }, (_, index) => Buffer.alloc(40_000, 65 + (index % 26)))).pipe(
            res,
          ),
        async (response) => {
          const body = await response.text();
          same(body.length, 64 * 40_000, "length");
          ensure(
            Array.from({ length: 64 }, (_, at) => body.codePointAt(at * 40_000)).every(
              (code, at) => code === 65 + (at % 26),
            ),
            "order",
          );
        },
      ),
  },
  {
    name: "trailers arrive",
    run: (make) =>
      eachStore(
        make,
        (res) => {
          res.setHeader("Trailer", "X-Sum");
          res.write("body");
          res.addTrailers({ "X-Sum": "42" });
          res.end();
        },
        async (response) => {
          same(await response.text(), "body", "body");
          const { trailers } = response as WireResponse;
          if (typeof trailers === "function") same(trailers()["x-sum"], "42", "trailer");
        },
      ),
  },
  ...[
    { when: "before the session is asked for", early: true },
    { when: "after it", early: false },
  ].flatMap(({ when, early }) =>
    [
      { what: "sets headers when the head is written", patch: patchHead, expected: "one two" },
      { what: "transforms the body", patch: patchBody, expected: "ONE TWO" },
    ].map(({ what, patch, expected }): AdapterCase => ({
      name: `middleware that patches the response ${when}, and ${what}, still works`,
      run: (make) =>
        eachStore(
          make,
          (res) => {
            if (!early) patch(res);
            res.write("one ");
            res.end("two");
          },
          async (response) => {
            same(await response.text(), expected, "body");
            same(response.headers.get("x-patched"), "1", "X-Patched");
            same(response.headers.getSetCookie().length, 1, "Set-Cookie lines");
          },
          early ? patch : undefined,
        ),
    })),
  ),
];

const broken: readonly AdapterCase[] = [
  {
    name: "a handler that goes on writing after the commit failed neither crashes nor is heard",
    async run(make) {
      for (const failure of [() => raise(), () => Promise.reject(new Error("the database is away"))]) {
        const user = kitSession(kitStore(failure));
        const finished = gate();
        const route = writing(user, async (res) => {
          res.writeHead(200, { "X-Handler": "1" });
          for (let index = 0; index < 5; index++) {
            if (!res.write("the handler's chunk")) await once(res, "drain");
            await new Promise<void>((resolve) => void res.write("and its callback", () => resolve()));
            await turn();
          }
          res.end("handler", finished.open);
        });
        await serving(make, [route], [user], async ({ get }) => {
          await sameAsUnavailable(await get("/write"));
          await finished.opened;
        });
      }
    },
  },
  ...[
    { when: "before the session is asked for", early: true },
    { when: "after it", early: false },
  ].map(({ when, early }): AdapterCase => ({
    name: `a failed commit is answered even if middleware patched the response ${when}`,
    async run(make) {
      const user = kitSession(kitStore(() => Promise.reject(new Error("the database is away"))));
      const route = writing(user, (res) => {
        if (!early) patchBody(res);
        res.setHeader("X-Handler", "1");
        res.write("the handler's ");
        res.end("body");
      });
      const before = ({ res }: NodePair): void => patchBody(res as ServerResponse);
      await serving(make, [early ? { ...route, before } : route], [user], async ({ get }) => {
        const response = await get("/write");
        same([response.status, response.headers.get("x-handler")], [503, null], "status and X-Handler");
        ensure(!/handler/i.test(await response.text()), "the handler's body must not go out");
      });
    },
  })),
  {
    name: "a pipe into a response whose commit fails is a 503",
    async run(make) {
      const user = kitSession(kitStore(() => Promise.reject(new Error("the database is away"))));
      const route = writing(user, (res) => {
        res.setHeader("X-Handler", "1");
        Readable.from(["the handler's ", "body"]).pipe(res);
      });
      await serving(make, [route], [user], async ({ get }) => sameAsUnavailable(await get("/write")));
    },
  },
  {
    name: "a body that Node refuses ends the request, not the process",
    async run(make) {
      const user = kitSession(slowStore());
      const route = writing(user, (res) => res.end(42 as never));
      await serving(make, [route, counting(user)], [user], async ({ get }) => {
        const status = await get("/write")
          .then(async (response) => (await response.text(), response.status))
          .catch(() => "closed");
        ensure(status === 500 || status === "closed", `a refused body must not be answered with ${status}`);
        same((await get("/count")).status, 200, "status of the next request");
      });
    },
  },
  {
    name: "a handler that throws after its first chunk never looks like a success",
    async run(make) {
      for (const store of [kitStore(), slowStore()]) {
        const user = kitSession(store);
        const route = writing(user, (res) => {
          res.write("the first chunk");
          throw new Error("a handler's mistake");
        });
        await serving(make, [route, counting(user)], [user], async ({ get }) => {
          const outcome = await get("/write")
            .then(async (response) => (await response.text(), response.status))
            .catch(() => "closed");
          ensure(outcome === 500 || outcome === "closed", `it must not be answered with ${outcome}`);
          same((await get("/count")).status, 200, "status of the next request");
        });
      }
    },
  },
  {
    name: "verbs throw as soon as the response has begun, also while it waits",
    async run(make) {
      const store = slowStore();
      const user = kitSession(store);
      const seen: string[] = [];
      const route: AdapterRoute = {
        path: "/write",
        async handle({ request, node }) {
          const session = await user.from(request);
          session.set({ count: 1 });
          responseIn(node).res.end("done");
          seen.push(thrownBy(() => session.set({ count: 2 })));
        },
      };
      await serving(make, [route, showing(user)], [user], async ({ agent }) => {
        const browser = agent();
        await browser.fetch("/write");
        same(seen, ["ERR_SESSION_HEADERS_SENT"], "what the verb threw");
        same(await shown(browser), { count: 1, isNew: false }, "session");
      });
    },
  },
];

/** What handlers may do to a response of Node, each sentence with its check. */
export const nodeAdapterCases: readonly AdapterCase[] = [...untouched, ...heads, ...bodies, ...broken];

// --- what the cases are made of -----------------------------------------------------------------------------------------

function responseIn(node: NodePair | undefined): { req: IncomingMessage; res: ServerResponse } {
  ensure(node !== undefined, "these cases need an adapter that hands out Node's own objects as `node`");
  return node as { req: IncomingMessage; res: ServerResponse };
}

/** A route that begins a session and then does something to the response. */
function writing(definition: SessionDefinition<KitData>, handle: Handle): AdapterRoute {
  return {
    path: "/write",
    async handle({ request, node }) {
      (await definition.from(request)).set({ count: 1 });
      const { req, res } = responseIn(node);
      await handle(res, req);
    },
  };
}

/** Runs a handler with a store that answers at once and with one that does not. */
async function eachStore(
  make: Parameters<AdapterCase["run"]>[0],
  handle: Handle,
  check: (response: Response) => Promise<void>,
  before?: (res: ServerResponse) => void,
): Promise<void> {
  for (const store of [kitStore(), slowStore()] satisfies KitStore[]) {
    const user = kitSession(store);
    const route = writing(user, handle);
    const whole =
      before === undefined ? route : { ...route, before: ({ res }: NodePair) => before(res as ServerResponse) };
    await serving(make, [whole, showing(user)], [user], async ({ agent }) => {
      const browser = agent();
      const response = await browser.fetch("/write");
      await check(response);
      same(await shown(browser), { count: 1, isNew: false }, "session");
    });
  }
}

/** As `on-headers` does it. */
function patchHead(res: ServerResponse): void {
  const { writeHead } = res;
  res.writeHead = function patched(this: ServerResponse, ...args: unknown[]) {
    this.setHeader("X-Patched", "1");
    res.writeHead = writeHead;
    return writeHead.apply(this, args as [number]);
  } as typeof writeHead;
}

/** As `compression` does it: the body goes through a stream, and what comes out is written by the methods before. */
function patchBody(res: ServerResponse): void {
  patchHead(res);
  const { write, end } = res;
  const stream = new Transform({
    transform: (chunk: Buffer, _, done) => void setImmediate(done, null, chunk.toString().toUpperCase()),
  });
  stream.on("data", (chunk) => write.call(res, chunk, "utf8") || stream.pause());
  stream.on("end", () => end.call(res, null, "utf8"));
  res.on("drain", () => void stream.resume());
  const old = res as ServerResponse & { _header?: string | null; _implicitHeader?(): void };
  const begin = (): void => {
    // Versions of some years ago ask for what is private to HTTP/1.
    if (typeof old._implicitHeader === "function") {
      if (!old._header) old._implicitHeader();
    } else if (!res.headersSent) res.writeHead(res.statusCode);
  };
  res.write = ((chunk: string) => (begin(), stream.write(chunk))) as typeof write;
  res.end = ((chunk?: string) => (
    begin(),
    typeof chunk === "string" ? stream.end(chunk) : stream.end(),
    res
  )) as typeof end;
}

function raise(): never {
  throw new Error("the database is away");
}

function thrownBy(work: () => unknown): string {
  try {
    work();
    return "nothing";
  } catch (error) {
    // HTTP/2 has a name of its own for the same thing.
    return String((error as { code?: unknown }).code).replace("HTTP2", "HTTP");
  }
}
