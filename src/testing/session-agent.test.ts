import { expect, test } from "vitest";
import { sessionAgent } from "./session-agent.ts";

/** Answers with the cookies it was sent, and sets those of the query. */
function echo(request: Request): Response {
  const headers = new Headers();
  for (const line of new URL(request.url).searchParams.getAll("set")) headers.append("Set-Cookie", line);
  return new Response(request.headers.get("Cookie") ?? "none", { headers });
}

const setting = (...lines: readonly string[]): string =>
  `/?${lines.map((line) => `set=${encodeURIComponent(line)}`).join("&")}`;

test("keeps cookies and sends them back", async () => {
  const agent = sessionAgent(echo);
  expect(await (await agent.fetch(setting("a=1; Path=/; HttpOnly", "b=x=y"))).text()).toBe("none");
  expect(await (await agent.fetch("/")).text()).toBe("a=1; b=x=y");
  expect(agent.cookies.get("a")).toEqual({ value: "1", attributes: { path: "/", httponly: "" } });
});

test("forgets a cookie that ends now, however it is told", async () => {
  const agent = sessionAgent(echo);
  await agent.fetch(setting("a=1", "b=2; Max-Age=60", "c=3; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "d=4"));
  await agent.fetch(setting("a=; Max-Age=0", "d=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"));
  expect(agent.cookieHeader()).toBe("b=2; c=3");
});

test("a clone has the same cookies and a jar of its own", async () => {
  const agent = sessionAgent(echo);
  await agent.fetch(setting("a=1"));
  const thief = agent.clone();
  await agent.fetch(setting("a=2"));
  expect([agent.cookieHeader(), thief.cookieHeader()]).toEqual(["a=2", "a=1"]);
});

test("a `Cookie` header given by hand wins; redirects are not followed", async () => {
  const agent = sessionAgent((request) =>
    request.url.endsWith("/go") ? Response.redirect("http://localhost/") : echo(request),
  );
  await agent.fetch(setting("a=1"));
  expect(await (await agent.fetch("/", { headers: { Cookie: "a=forged" } })).text()).toBe("a=forged");
  expect((await agent.fetch("/go")).status).toBe(302);
});
