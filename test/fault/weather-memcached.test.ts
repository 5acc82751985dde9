import { expect, test } from "vitest";
import { MEMCACHED_PROGRAMS } from "../servers/memcached.ts";
import { describeWithServers } from "../servers/require.ts";
import { memcached } from "./engine-memcached.ts";
import { QUICK, runFault } from "./run.ts";

/** The whole of it: `npm run faults -- --store memcached`. */
describeWithServers("bad weather for Memcached", MEMCACHED_PROGRAMS, () => {
  const faults = memcached().faults.filter(({ isQuick }) => isQuick);

  test.each(faults.map((fault) => [fault.name, fault] as const))(
    "%s: what was promised is kept",
    { timeout: 60_000 },
    async (_, fault) => {
      const { complaints, findings } = await runFault(fault, { seed: 1, pace: QUICK });
      expect(complaints, JSON.stringify(findings, null, 2)).toEqual([]);
    },
  );
});
