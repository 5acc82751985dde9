import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { describeWithServers } from "../servers/require.ts";
import { until } from "../servers/server-process.ts";
import { ensureBuilt } from "./built.ts";
import { demoEnding, startDemo } from "./demo-process.ts";

const PATIENCE_MS = 150_000;

beforeAll(ensureBuilt, PATIENCE_MS);

test("the demo says what it can be told", async () => {
  const { code, output } = await demoEnding({}, "--help");
  expect(code).toBe(0);
  for (const setting of ["PORT", "SHOP_PORT", "PROXY", "STORE"]) expect(output).toContain(`  ${setting} `);
});

test.each([
  [{ PORT: "many" }, 'PORT has to be a number from 0 to 65535, and it is "many".'],
  [{ PROXY: "squid" }, 'PROXY has to be haproxy or nginx, and it is "squid".'],
  [{ STORE: "paper" }, 'STORE has to be redis or sqlite, and it is "paper".'],
])("the demo does not start with %j", async (env, words) => {
  const { code, output, left } = await demoEnding(env);
  expect({ code, output: output.trim(), left }).toEqual({ code: 1, output: words, left: [] });
});

test("a proxy that does not start ends the demo, with what it said, and nothing is left", async () => {
  const bin = await mkdtemp(join(tmpdir(), "coatcheck-bin-"));
  await writeFile(join(bin, "haproxy"), "#!/bin/sh\necho 'out of order'\nexit 3\n");
  await chmod(join(bin, "haproxy"), 0o755);
  const PATH = [bin, process.env["PATH"]].join(delimiter);
  const { code, output, left } = await demoEnding({ PATH, PROXY: "haproxy", STORE: "sqlite" });
  await rm(bin, { recursive: true });
  expect(output).toMatch(/haproxy did not start:\nout of order/);
  expect({ code, left }).toEqual({ code: 1, left: [] });
});

describeWithServers("the demo with nginx and a file", ["nginx"], () => {
  test("a killed server and a paused one sign nobody out", { timeout: 2 * PATIENCE_MS }, async () => {
    const demo = await startDemo({ PROXY: "nginx", STORE: "sqlite" });
    expect(demo.output()).toContain("Three servers behind nginx, and one SQLite file.");
    const post = async (path: string): Promise<unknown> => await fetch(demo.url + path, { method: "POST" });
    const page = async (): Promise<string> => await (await fetch(demo.url)).text();
    const figure = (text: string, name: string): number =>
      Number(new RegExp(`data-tally="${name}">(\\d+)`).exec(text)?.[1]);

    await post("/visitors");
    await until("visitors", async () => Number(/id="here">(\d+)/.exec(await page())?.[1]) >= 5, PATIENCE_MS);
    await post("/servers/a/kill");
    await until("the news", async () => (await page()).includes("nginx leaves a out"), PATIENCE_MS);
    await post("/servers/a/revive");
    await post("/servers/b/pause");
    await until("the news", async () => (await page()).includes("nginx leaves b out"), PATIENCE_MS);
    await post("/servers/b/revive");
    await until("the end", async () => (await page()).includes("All visitors have left"), PATIENCE_MS);
    const names = ["signedOut", "lost", "doubled", "undead", "gaveUp"];
    const text = await page();
    expect(names.map((name) => figure(text, name))).toEqual([0, 0, 0, 0, 0]);
    // It asks nobody for their health, so nobody can say that it wants to leave.
    expect(text).toMatch(/data-action="drain"[^>]*disabled/);
    expect(await demo.stop("SIGTERM")).toMatchObject({ code: 0, left: [] });
  });
});
