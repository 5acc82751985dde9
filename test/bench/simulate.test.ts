import { describe, expect, test } from "vitest";
import { agendaFrom } from "../../bench/simulate/agenda.ts";
import { chanceOf, waiting, zipf } from "../../bench/simulate/chance.ts";
import { wishOf, type Plan } from "../../bench/simulate/options.ts";
import { hitRatePlot, latencyPlot, loadPlot } from "../../bench/simulate/plots.ts";
import { checkTable, curveTable, fleetTable, variedTable } from "../../bench/simulate/report.ts";
import { ledger } from "../../bench/simulate/revocation.ts";
import { runAll } from "../../bench/simulate/series.ts";
import { comeUntil, router, type Request } from "../../bench/simulate/traffic.ts";
import { indexAt, lagOf, type Weather } from "../../bench/simulate/weather.ts";
import { simulate, type World } from "../../bench/simulate/world.ts";

/** Every answer takes 0.2 ms, and others hear of it 0.05 and 0.1 ms after it. */
const STEADY: Weather = [{ at: 0, answer: 0.2, lags: [0.05, 0.1] }];

/** Small enough for a tenth of a second. */
const SMALL: World = {
  traffic: { seed: 1, sessions: 2_000, exponent: 1, rate: 200, burst: 1, writes: 0.05, signOuts: 0.02 },
  servers: 3,
  routing: "random",
  maxSessions: 10_000,
  maxAge: 10_000,
  policy: { idle: 1_800_000, absolute: 43_200_000, renewal: 900_000 },
  weather: STEADY,
  hop: 0,
  warmUp: 20_000,
  measured: 20_000,
  cuts: [],
  begins: "signed-in",
};

const copies = (latencies: readonly (number | undefined)[]): number[] => latencies.filter((ms) => ms !== undefined);

describe("the simulation", () => {
  test("gives the same for the same seed, and something else for another one", () => {
    expect(simulate(SMALL)).toEqual(simulate(SMALL));
    const other = simulate({ ...SMALL, traffic: { ...SMALL.traffic, seed: 2 } });
    expect(other.hitRate).not.toBe(simulate(SMALL).hitRate);
  });

  test("has the hit rate of a cache that forgets by age, where nobody writes: Σ p r T / (1 + r T)", () => {
    const traffic = { ...SMALL.traffic, rate: 500, writes: 0, signOuts: 0 };
    const quiet = { idle: undefined, absolute: undefined, renewal: undefined };
    const { hitRate, storeWrites } = simulate({ ...SMALL, servers: 1, traffic, policy: quiet, measured: 60_000 });
    const { share } = zipf(traffic.sessions, traffic.exponent, chanceOf(1, 1));
    let expected = 0;
    for (let rank = 1; rank <= traffic.sessions; rank++) {
      const hits = share(rank) * traffic.rate * (SMALL.maxAge / 1000);
      expected += (share(rank) * hits) / (1 + hits);
    }
    expect(storeWrites).toBe(0);
    expect(Math.abs(hitRate - expected)).toBeLessThan(0.01);
  });

  test("lets no visitor read what it has overwritten, on whichever server", () => {
    const traffic = { ...SMALL.traffic, sessions: 50, writes: 0.5 };
    const { wrong, hitRate } = simulate({ ...SMALL, traffic, servers: 10 });
    expect(hitRate).toBeGreaterThan(0.1);
    expect(wrong).toBe(0);
  });

  test("more servers know less of visitors who come to any of them, and as much of those who stay", () => {
    const rate = (servers: number, routing: World["routing"]): number =>
      simulate({ ...SMALL, servers, routing }).hitRate;
    expect(rate(30, "random")).toBeLessThan(rate(3, "random") / 2);
    expect(rate(30, "sticky")).toBeCloseTo(rate(3, "sticky"), 2);
    expect(rate(3, "drained")).toBeLessThan(rate(3, "sticky"));
  });

  test("clocks are moved and secrets renewed as the product does", () => {
    const traffic = { ...SMALL.traffic, writes: 0, signOuts: 0 };
    const writes = (policy: World["policy"]): number => simulate({ ...SMALL, traffic, policy }).storeWrites;
    const { policy } = SMALL;
    expect(writes({ ...policy, renewal: undefined })).toBeLessThan(writes(policy));
    expect(writes({ ...policy, idle: 10_000_000 })).toBeLessThan(writes(policy));
    expect(writes({ idle: undefined, absolute: undefined, renewal: undefined })).toBe(0);
  });
});

describe("an ended session", () => {
  test("is dropped elsewhere when the news are there", () => {
    const late = copies(simulate(SMALL).latencies);
    expect(late.length).toBeGreaterThan(10);
    for (const ms of late) expect([0.05, 0.1].some((lag) => Math.abs(ms - lag) < 1e-6)).toBe(true);
  });

  test("lives on where nobody hears of it, and never for longer than maxAge", () => {
    const cut = { server: 2, from: SMALL.warmUp, to: Infinity, noticedAt: undefined };
    const { cutOff } = simulate({ ...SMALL, maxAge: 2_000, cuts: [cut] });
    const late = copies(cutOff);
    expect(Math.max(...late)).toBeGreaterThan(1_000);
    expect(Math.max(...late)).toBeLessThan(2_000);
  });

  test("or until that is noticed", () => {
    const { warmUp } = SMALL;
    const cut = { server: 2, from: warmUp, to: warmUp + 20_000, noticedAt: warmUp + 3_000 };
    const { cutOff } = simulate({ ...SMALL, cuts: [cut] });
    expect(Math.max(...copies(cutOff))).toBeLessThan(3_000);
    expect(Math.max(...copies(cutOff))).toBeGreaterThan(500);
  });

  test("is told of by server, and not where nobody had a copy", () => {
    const signOuts = ledger();
    signOuts.ended("a", 10);
    signOuts.ended("b", 20);
    signOuts.served("a", 0, 9);
    signOuts.served("a", 1, 12);
    signOuts.served("nobody's", 1, 99);
    expect(signOuts.latencies()).toEqual([2, undefined]);
    expect(signOuts.latencies(0)).toEqual([0, undefined]);
  });
});

describe("visitors", () => {
  const visits = (changed: Partial<World["traffic"]>, end = 60_000): readonly Request[] => {
    const agenda = agendaFrom(0);
    const requests: Request[] = [];
    comeUntil(end, { ...SMALL.traffic, ...changed }, agenda, (request) => void requests.push(request));
    agenda.runTo(Infinity);
    return requests;
  };

  test("come as often as they should, one at a time or several", () => {
    for (const burst of [1, 5]) {
      const { length } = visits({ burst });
      expect(Math.abs(length / 60 / SMALL.traffic.rate - 1), String(burst)).toBeLessThan(0.1);
    }
  });

  test("are busy by their rank", () => {
    for (const exponent of [0.7, 1, 1.3]) {
      const ranks = zipf(100_000, exponent, chanceOf(3, 1));
      const drawn = Array.from({ length: 40_000 }, () => ranks.rank());
      for (const rank of [1, 2, 10]) {
        const part = drawn.filter((one) => one === rank).length / drawn.length;
        expect(Math.abs(part / ranks.share(rank) - 1), `${exponent} ${rank}`).toBeLessThan(0.25);
      }
      expect(Math.max(...drawn)).toBeLessThanOrEqual(100_000);
    }
  });

  test("wait as long as they should", () => {
    const chance = chanceOf(1, 7);
    const all = Array.from({ length: 10_000 }, () => waiting(chance, 3));
    expect(all.reduce((sum, one) => sum + one, 0) / all.length).toBeCloseTo(3, 1);
  });

  test("find their server again until it is replaced", () => {
    const [one] = visits({});
    const routes = router(10, "sticky");
    const server = routes.server(one!);
    expect(routes.server({ ...one!, lot: 0.999 })).toBe(server);
    routes.replace(server);
    expect(routes.server({ ...one!, lot: 0.999 })).toBe(9);
    expect(router(10, "random").server({ ...one!, lot: 0.35 })).toBe(3);
  });
});

describe("the weather", () => {
  const changing: Weather = [
    { at: 0, answer: 1, lags: [1, 2] },
    { at: 10, answer: 2, lags: [3, 4] },
    { at: 30, answer: 3, lags: [5, 6] },
  ];

  test("is that of the last sample, and begins again", () => {
    expect([0, 9, 10, 29, 30, 45].map((time) => indexAt(changing, time))).toEqual([0, 0, 1, 1, 0, 1]);
  });

  test("is the same for servers that were measured together, and another one for more of them", () => {
    expect([0, 2].map((server) => lagOf(changing, 0, 1, server))).toEqual([1, 2]);
    const others = [3, 4].map((server) => lagOf(changing, 0, 1, server));
    expect(others).not.toEqual([1, 2]);
  });
});

describe("npm run simulate", () => {
  const plan = (...args: readonly string[]): Plan => {
    const wish = wishOf(args, STEADY);
    if (!("simulate" in wish)) throw new Error("expected something to simulate");
    return wish.simulate;
  };

  test("without options is whole and published; with any it only prints", () => {
    expect(plan()).toMatchObject({ servers: [3, 10, 30, 100, 300], isWhole: true, publishes: true });
    expect(plan("--quick", "--seed", "7")).toMatchObject({ isWhole: true, publishes: false });
    expect(plan("--servers", "4,5").servers).toEqual([4, 5]);
    expect(plan("--sessions", "100000000").world.traffic.sessions).toBe(100_000_000);
    expect(plan("--servers", "4").isWhole).toBe(false);
  });

  test("tells by name what makes no sense", () => {
    expect(() => plan("--rate", "none")).toThrow("--rate must be a number above 0");
    expect(() => plan("--routing", "dance")).toThrow("no routing dance: random, sticky, drained");
    expect(() => plan("--burst", "0.5")).toThrow("--burst must be 1 or more");
    expect(() => plan("--writes", "2")).toThrow("--writes is a part");
    expect(() => wishOf(["--check", "--rate", "3"], STEADY)).toThrow("--check and --rate do not go together");
    expect(() => plan("--runs", "3")).toThrow("--runs goes with --check only");
    expect(wishOf(["--help"], STEADY)).toEqual({ help: true });
  });

  test("makes tables and pictures of what it finds", () => {
    const small = plan("--quick", "--seed", "3");
    const told: string[] = [];
    const { traffic } = small.world;
    const world = { ...small.world, measured: 2_000, warmUp: 2_000, traffic: { ...traffic, rate: 100 } };
    const found = runAll({ ...small, servers: [3, 10], world }, (text) => void told.push(text));
    expect(told).toHaveLength(2 * 3 + found.varied.length + found.curves.length);
    expect(fleetTable(found.rows, 100).split("\n")).toHaveLength(2 + 6);
    expect(variedTable(found)).toContain("Zipf exponent 0.6");
    expect(curveTable(found)).toContain("cut off, maxAge 2 s");
    for (const plot of [hitRatePlot(found), loadPlot(found), latencyPlot(found)]) {
      expect(plot).toMatch(/^<svg .*<\/svg>\n$/s);
      expect(plot).not.toMatch(/NaN|Infinity|undefined/);
    }
  });

  test("shows real and simulated side by side, and marks what is off", () => {
    const compared = [
      { figure: "hit rate", unit: "%", real: 50, simulated: 55, deviation: 0.1, holds: true },
      { figure: "median", unit: "ms", real: 0.2, simulated: 0.5, deviation: 1.5, holds: false },
    ] as const;
    const none = { median: 0, p99: 0, most: 0 };
    const scenario = {
      name: "calm",
      requests: 1_000,
      signOuts: 10,
      late: 0,
      failed: 0,
      answers: none,
      lags: none,
      compared,
    };
    const text = checkTable([scenario]);
    expect(text).toContain("| hit rate | 50.0 % | 55.0 % | +10.0 % |");
    expect(text).toContain("**+0.30 ms** ✗");
  });
});
