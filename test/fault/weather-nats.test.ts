import { expect, test } from "vitest";
import { NATS_CLUSTER_PROGRAMS } from "../servers/nats.ts";
import { describeWithServers } from "../servers/require.ts";
import { nats } from "./engine-nats.ts";
import { QUICK, runFault } from "./run.ts";

/** The whole of it: `npm run faults -- --store nats`. */
describeWithServers("bad weather for NATS", NATS_CLUSTER_PROGRAMS, () => {
  const faults = nats().faults.filter(({ isQuick }) => isQuick);

  // Side by side: they wait, most of the time.
  test.concurrent.each(faults.map((fault) => [fault.name, fault] as const))(
    "%s: what was promised is kept",
    { timeout: 90_000 },
    async (_, fault) => {
      const { complaints, findings } = await runFault(fault, { seed: 1, pace: QUICK });
      expect(complaints, JSON.stringify(findings, null, 2)).toEqual([]);
    },
  );
});
