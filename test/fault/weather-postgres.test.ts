import { expect, test } from "vitest";
import { POSTGRES_PROGRAMS } from "../servers/postgres.ts";
import { describeWithServers } from "../servers/require.ts";
import { postgres } from "./engine-postgres.ts";
import { QUICK, runFault } from "./run.ts";

/** The whole of it: `npm run faults -- --store postgres`. */
describeWithServers("bad weather for PostgreSQL", POSTGRES_PROGRAMS, () => {
  const faults = postgres().faults.filter(({ isQuick }) => isQuick);

  test.each(faults.map((fault) => [fault.name, fault] as const))(
    "%s: what was promised is kept",
    { timeout: 60_000 },
    async (_, fault) => {
      const { complaints, findings } = await runFault(fault, { seed: 1, pace: QUICK });
      expect(complaints, JSON.stringify(findings, null, 2)).toEqual([]);
    },
  );
});
