import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { signInApp, userSession } from "../../examples/forward-auth/app.ts";
import { returnPath } from "../../examples/forward-auth/return-path.ts";
import { memoryStore } from "../../src/store/memory.ts";

test("the way back after a sign-in is a path of this site, or the first page", () => {
  const paths: [string, string][] = [
    ["/sign-in", "/"],
    ["/sign-in?return=", "/"],
    ["/sign-in?return=/private/page.html", "/private/page.html"],
    ["/sign-in?return=/a?b=1&c=%2F&return=//evil.example", "/a?b=1&c=%2F&return=//evil.example"],
    ["/sign-in?return=%2Fa%3Fb%3D1%26c%3D2", "/a?b=1&c=2"],
    ["/sign-in?return=https%3A%2F%2Fshop.example%2Fa%3Fb%3D1", "/a?b=1"],
    ["/sign-in?return=//evil.example/", "/"],
    ["/sign-in?return=///evil.example/", "/"],
    ["/sign-in?return=/\\evil.example/", "/"],
    ["/sign-in?return=\\\\evil.example/", "/"],
    ["/sign-in?return=%2F%2Fevil.example", "/"],
    ["/sign-in?return=%2F%5Cevil.example", "/"],
    ["/sign-in?return=%2F%09%2Fevil.example", "/"],
    ["/sign-in?return=/%09/evil.example", "/%09/evil.example"],
    ["/sign-in?return=https://evil.example", "/"],
    ["/sign-in?return=https://evil.example//evil.example", "/"],
    ["/sign-in?return=https://evil.example/a", "/a"],
    ["/sign-in?return=javascript:alert(1)", "/"],
    ["/sign-in?return=evil.example", "/"],
    ["/sign-in?return=/a\r\nSet-Cookie: b=c", "/"],
    ["/sign-in?return=%2Fa%0D%0ASet-Cookie", "/"],
    ["/sign-in?return=%E0%A4%A", "/"],
    ['/sign-in?return=/"><script>', "/"],
    ["/sign-in?return=/.//evil.example", "/.//evil.example"],
  ];
  for (const [target, path] of paths) {
    expect([target, returnPath(target)]).toEqual([target, path]);
    expect(new URL(path, "https://shop.example/sign-in").host).toBe("shop.example");
  }
});

test("the form brings it along, and cannot be led out of its attribute", async () => {
  const server = createServer(signInApp(userSession({ store: memoryStore() }))).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const page = async (target: string): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${port}${target}`)).text();
  expect(await page("/sign-in?return=/a?b=1&c='d")).toContain("action='/sign-in?return=/a?b=1&amp;c=%27d'");
  expect(await page("/sign-in?return=%2Fa%3Fb'%3E")).toContain("action='/sign-in?return=/'");
  expect(await page("/sign-in?return=%2Fa%27b")).toContain("action='/sign-in?return=/a&#39;b'");
  server.close();
});
