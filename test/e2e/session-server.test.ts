import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startSessionServer, type TestSessionServer } from "../servers/session-server.ts";

describe("coatcheck serve", () => {
  let server: TestSessionServer;
  beforeAll(async () => {
    server = await startSessionServer({ credentials: [{ application: "shop" }] });
  });
  afterAll(() => server.stop());

  test("is ready, and says so to everybody", async () => {
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect((await fetch(`${server.url}/v1/store`)).status).toBe(401);
    const headers = { Authorization: `Bearer ${server.credentials["shop"]}` };
    expect([404, 405]).toContain((await fetch(`${server.url}/v1/store`, { headers })).status);
  });

  test("keeps its address over a restart", async () => {
    const { url } = server;
    await server.kill();
    await server.restart();
    expect(server.url).toBe(url);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });
});
