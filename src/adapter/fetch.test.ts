import { beforeEach, expect, test, vi } from "vitest";
import { breakStore, kitSession, kitStore, slowStore } from "../testing/adapter-kit.ts";
import { sessionAgent } from "../testing/session-agent.ts";
import { withSessions } from "./fetch.ts";

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
  return () => vi.restoreAllMocks();
});

function requested(path = "/"): Request {
  return new Request(`https://app.example${path}`);
}

test("Response.redirect(), whose headers cannot be changed, carries the session", async () => {
  const user = kitSession(slowStore());
  const handler = withSessions(async (request: Request) => {
    (await user.from(request)).set({ count: 1 });
    return Response.redirect("https://app.example/next", 303);
  }, user);
  const response = await handler(requested());
  expect(response.status).toBe(303);
  expect(response.headers.get("location")).toBe("https://app.example/next");
  expect(response.headers.getSetCookie()).toHaveLength(1);
  expect(response.headers.get("cache-control")).toBe("no-store");
});

test("one Response that the app returns to everybody carries nobody's session to another", async () => {
  const user = kitSession(kitStore());
  const done = new Response(null, { status: 204 });
  const handler = withSessions(async (request: Request) => {
    const session = await user.from(request);
    if (request.url.endsWith("/login")) session.authenticate("ada");
    return done;
  }, user);
  expect((await handler(requested("/login"))).headers.getSetCookie()).toHaveLength(1);
  expect((await handler(requested("/other"))).headers.getSetCookie()).toEqual([]);
});

test("a thrown Response is an answer: its session is written", async () => {
  const user = kitSession(slowStore());
  const agent = sessionAgent(
    withSessions(async (request: Request) => {
      const session = await user.from(request);
      session.update((data) => ({ count: (data?.count ?? 0) + 1 }));
      // oxlint-disable-next-line typescript/only-throw-error -- as some routers do
      throw new Response(String(session.data?.count), { status: 404 });
    }, user),
  );
  await agent.fetch("/");
  const response = await agent.fetch("/");
  expect(response.status).toBe(404);
  expect(await response.text()).toBe("2");
});

test("what a handler throws is thrown on, unless the client must be told something", async () => {
  const user = kitSession(slowStore());
  const handler = withSessions(async (request: Request) => {
    const session = await user.from(request);
    session.set({ count: 1 });
    if (request.url.endsWith("/login")) session.authenticate("ada");
    throw new Error("a handler's mistake");
  }, user);
  await expect(handler(requested())).rejects.toThrow("a handler's mistake");
  const response = await handler(requested("/login"));
  expect(response.status).toBe(500);
  expect(response.headers.getSetCookie()).toHaveLength(1);
});

test("the handler's own error is what the app sees when the store fails after it", async () => {
  const store = kitStore();
  const user = kitSession(store);
  breakStore(store, "create");
  const handler = withSessions(async (request: Request) => {
    (await user.from(request)).authenticate("ada");
    throw new Error("a handler's mistake");
  }, user);
  await expect(handler(requested())).rejects.toThrow("a handler's mistake");
});

test("further arguments reach the handler; an untouched response is passed on as it is", async () => {
  const user = kitSession(kitStore());
  const answer = new Response("mine");
  const handler = withSessions((_request: Request, env: { name: string }) => {
    expect(env).toEqual({ name: "production" });
    return answer;
  }, user);
  expect(await handler(requested(), { name: "production" })).toBe(answer);
});

test("the body of a response whose session cannot be written is cancelled", async () => {
  const store = kitStore();
  const user = kitSession(store);
  breakStore(store, "create");
  const cancel = vi.fn<() => void>();
  const handler = withSessions(async (request: Request) => {
    (await user.from(request)).set({ count: 1 });
    return new Response(new ReadableStream({ cancel }));
  }, user);
  expect((await handler(requested())).status).toBe(503);
  expect(cancel).toHaveBeenCalledOnce();
});

test("withSessions() takes at least one definition, and only definitions", () => {
  expect(() => withSessions(() => new Response())).toThrow(TypeError);
  expect(() => withSessions(() => new Response(), {} as never)).toThrow(TypeError);
});
