import { expect, test } from "vitest";
import { REDIS_PROGRAMS } from "../servers/redis.ts";
import { describeWithServers } from "../servers/require.ts";
import { redis } from "./engine-redis.ts";
import { requestsOf, type Line, type RequestLine } from "./history.ts";
import { QUICK, runFault, STORE_TIMEOUT } from "./run.ts";

/** The whole of it: `npm run faults`. */
describeWithServers("bad weather for Redis", REDIS_PROGRAMS, () => {
  const faults = redis().faults.filter(({ isQuick }) => isQuick);

  test.each(faults.map((fault) => [fault.name, fault] as const))(
    "%s: what was promised is kept",
    { timeout: 60_000 },
    async (name, fault) => {
      const { complaints, findings, history } = await runFault(fault, { seed: 1, pace: QUICK });
      expect(complaints, JSON.stringify(findings, null, 2)).toEqual([]);
      if (name === "stop") {
        const errors = duringFault(history).filter(({ outcome }) => outcome === "failed");
        expect(errors.length, "a server that stands still is felt").toBeGreaterThan(0);
        expect(errors.filter(({ issued, cleared }) => issued !== undefined || cleared === true)).toEqual([]);
        const reads = errors.filter(({ action }) => action === "read");
        expect(Math.max(...reads.map(({ from, until }) => until - from))).toBeLessThan(2 * STORE_TIMEOUT);
      }
    },
  );
});

/** Requests that were sent and answered while it lasted. */
function duringFault(history: readonly Line[]): readonly RequestLine[] {
  const at = (event: "strike" | "clear"): number =>
    history.flatMap((line) => (line.did === event ? [line.at] : []))[0] ?? Number.NaN;
  return requestsOf(history).filter(({ from, until }) => from > at("strike") && until < at("clear"));
}
