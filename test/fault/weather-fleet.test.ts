import { expect, test } from "vitest";
import { describeWithServers } from "../servers/require.ts";
import { NATS_PROGRAMS } from "../servers/nats.ts";
import { POSTGRES_PROGRAMS } from "../servers/postgres.ts";
import { REDIS_PROGRAMS } from "../servers/redis.ts";
import { FLEETS, MAX_AGE } from "./fleet.ts";
import { QUICK, runFault } from "./run.ts";

const STORES = [
  ["redis", REDIS_PROGRAMS],
  ["postgres", POSTGRES_PROGRAMS],
  ["nats", NATS_PROGRAMS],
] as const;

/** The whole of it: `npm run faults -- --store fleet-redis`, with `--requests 20000`. */
for (const [engine, programs] of STORES) {
  describeWithServers(`three apps with near caches over ${engine}`, programs, () => {
    const faults = FLEETS[`fleet-${engine}`]?.().faults.filter(({ isQuick }) => isQuick) ?? [];

    test.each(faults.map((fault) => [fault.name, fault] as const))(
      "%s: what was promised is kept",
      { timeout: 90_000 },
      async (_, fault) => {
        const { complaints, findings, figures } = await runFault(fault, { seed: 1, pace: QUICK });
        expect(complaints, JSON.stringify(findings, null, 2)).toEqual([]);
        expect(figures.stale).toBeLessThan(MAX_AGE);
      },
    );
  });
}
