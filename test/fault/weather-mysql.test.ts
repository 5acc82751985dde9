import { expect, test } from "vitest";
import { MARIADB_PROGRAMS } from "../servers/mariadb.ts";
import { describeWithServers } from "../servers/require.ts";
import { mysql } from "./engine-mysql.ts";
import { QUICK, runFault } from "./run.ts";

/** The whole of it: `npm run faults -- --store mysql`. */
describeWithServers("bad weather for MariaDB", MARIADB_PROGRAMS, () => {
  const faults = mysql().faults.filter(({ isQuick }) => isQuick);

  test.each(faults.map((fault) => [fault.name, fault] as const))(
    "%s: what was promised is kept",
    { timeout: 60_000 },
    async (_, fault) => {
      const { complaints, findings } = await runFault(fault, { seed: 1, pace: QUICK });
      expect(complaints, JSON.stringify(findings, null, 2)).toEqual([]);
    },
  );
});
