import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { sessionAgent } from "../../src/testing/session-agent.ts";
import { NATS_PROGRAMS } from "../servers/nats.ts";
import { POSTGRES_PROGRAMS } from "../servers/postgres.ts";
import { REDIS_PROGRAMS } from "../servers/redis.ts";
import { describeWithServers } from "../servers/require.ts";
import { startApp, type App } from "./app.ts";
import type { Servers, Topology } from "./fault.ts";
import { fleet } from "./fleet.ts";
import { single as nats } from "./nats-faults.ts";
import { single as postgres } from "./postgres-single.ts";
import { single as redis } from "./redis-single.ts";

const STORES: readonly (readonly [engine: string, programs: readonly string[], topology: Topology<Servers>])[] = [
  ["Redis", REDIS_PROGRAMS, redis("node-redis 6")],
  ["PostgreSQL", POSTGRES_PROGRAMS, postgres("pg 8, Pool")],
  ["NATS", NATS_PROGRAMS, nats],
];
const [EACH, AT_ONCE] = [1_000, 4];

for (const [engine, programs, topology] of STORES) {
  describeWithServers(`one session on two servers with near caches over ${engine}`, programs, () => {
    test(`P12: ${EACH} additions at each of them, ${AT_ONCE} at a time, all count`, { timeout: 120_000 }, async () => {
      const folder = mkdtempSync(join(tmpdir(), "coatcheck-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const servers = await fleet(topology).start(folder);
      onTestFinished(() => servers.stop());
      const start = async (n: number): Promise<App> => {
        const app = await startApp({ store: servers.store, storeTimeout: 20_000 }, join(folder, `${n}.log`), () => {});
        onTestFinished(() => app.stop());
        return app;
      };
      const apps = [await start(0), await start(1)];
      const agent = sessionAgent((request) => {
        const { pathname, search } = new URL(request.url);
        const [, app, ...path] = pathname.split("/");
        return fetch(new Request(`${apps[Number(app)]?.origin}/${path.join("/")}${search}`, request));
      });
      const { session } = (await (await agent.fetch("/0/sign-in?subject=ada", { method: "POST" })).json()) as {
        session: string;
      };

      const outcomes: string[] = [];
      const adding = async (app: number): Promise<void> => {
        for (let n = 0; n < EACH / AT_ONCE; n++) {
          const response = await agent.fetch(`/${app}/add`, { method: "POST" });
          const text = await response.text();
          outcomes.push(response.status === 200 ? (JSON.parse(text) as { outcome: string }).outcome : text);
        }
      };
      await Promise.all([0, 1].flatMap((app) => Array.from({ length: AT_ONCE }, () => adding(app))));

      expect(new Set(outcomes)).toEqual(new Set(["written"]));
      const final = (await (await agent.fetch(`/0/final?session=${session}`)).json()) as { data: { n: number } };
      expect(final.data.n).toBe(2 * EACH);
    });
  });
}
