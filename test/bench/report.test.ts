import { describe, expect, test } from "vitest";
import { fraction, micros, setupTitle, signed, thousands } from "../../bench/figures.ts";
import type { Setup } from "../../bench/options.ts";
import { withTables } from "../../bench/page.ts";
import { costPlot, ratioPlot, seriesPlot } from "../../bench/plots.ts";
import { markdown } from "../../bench/report.ts";
import { json, type Measured, type Results } from "../../bench/results.ts";
import type { Ratio, Row, Spread } from "../../bench/statistics.ts";
import { subjectOf } from "../../bench/subjects.ts";
import { element, logAxis, powerAbove, powerBelow, words } from "../../bench/svg.ts";

const SETUP: Setup = { bytes: 113, sessions: 32, clients: "again" };

function spread(best: number): Spread {
  return { best, median: best * 1.1, rounds: [best * 0.9, best * 1.5] };
}

function row(name: string, over: number): Row {
  const { label, ours } = subjectOf(name);
  return {
    subject: name,
    label,
    ours,
    route: "read",
    samples: [],
    cost: spread(15 + over),
    over: spread(over),
    met: undefined,
  };
}

const ROWS = [row("koa/bare", 0), row("koa/memory", 4), row("koa/koa-session", 60)];
const RATIO: Ratio = {
  ours: "koa/memory",
  peer: "koa/koa-session",
  route: "read",
  whole: false,
  ratio: spread(1 / 15),
  target: 1 / 12,
  met: true,
};
const MEASURED: Measured = {
  setup: SETUP,
  rows: ROWS,
  ratios: [RATIO],
  lost: { "koa/memory": { writes: 7, lost: 0 } },
};

function results(measured: readonly Measured[] = [MEASURED]): Results {
  return {
    date: "2026-01-02",
    form: "full",
    seconds: 1,
    warmUp: 1.5,
    rounds: 3,
    processes: 2,
    generator: "wrk",
    machine: { cpu: "a machine", cores: 2, pinned: true, node: "24.0.0", packages: { koa: "3.0.0" } },
    busy: { before: 0.25, after: 1.5 },
    leftOut: ["a thing: it is not there"],
    measured,
    profiles: [],
    traffic: [{ subject: "koa/memory", label: "Koa + coatcheck", route: "read", storeCalls: 1, setCookies: 0 }],
  };
}

describe("a figure", () => {
  test("is as exact as it deserves", () => {
    expect([micros(12.34), micros(7_123.4), signed(-0.26), thousands(1_000_000)]).toEqual([
      "12.3",
      "7 123",
      "−0.3",
      "1 000 000",
    ]);
  });

  test("is a part, a multiple, or next to nothing", () => {
    expect([1 / 6, 1 / 7.3, 1 / 46.4, 1.25, 0, -2].map(fraction)).toEqual([
      "1/6",
      "1/7.3",
      "1/46",
      "1.25 ×",
      "≈ 0",
      "≈ 0",
    ]);
  });

  test("names of a setup only what the others have not", () => {
    const others = [SETUP, { ...SETUP, bytes: 10_000 }, { ...SETUP, bytes: 10_000, sessions: 1 }];
    expect(others.map((setup) => setupTitle(setup, others))).toEqual([
      "113 bytes, 32 sessions",
      "10 kB, 32 sessions",
      "10 kB, 1 session",
    ]);
    expect(setupTitle(SETUP, [SETUP])).toBe("");
  });
});

describe("the report", () => {
  test("says what was found, what is aimed at, with what, and what is missing", () => {
    const text = markdown(results());
    expect(text).toMatch(/\| Koa \+ koa-session, memory +\| +75\.0 \| +\+60\.0 \| +\+66\.0 \| \+54\.0 … \+90\.0 \|/);
    expect(text).toMatch(/\| koa-session, memory +\| read +\| +\+4\.0 \| +\+60\.0 \| +1\/15 \| .* ≤ 1\/12 ✓ \|/);
    expect(text).toContain("after 1.5 s of warm-up on each route");
    expect(text).toContain("load average 0.3\nbefore and 1.5 after");
    expect(text).toContain("Node 24.0.0, koa 3.0.0");
    expect(text).toContain("Updates that were lost: koa/memory 0 of 7.");
    expect(text).toContain("Left out: a thing: it is not there.");
  });

  test("names the framework of theirs where it is another than that of ours", () => {
    const rows = [row("express/memory", 4), row("go/scs", 60), row("express/express-session", 30)];
    const ratio = (peer: string): Ratio => ({ ...RATIO, ours: "express/memory", peer });
    const ratios = [ratio("go/scs"), ratio("express/express-session")];
    const text = markdown(results([{ ...MEASURED, rows, ratios }]));
    expect(text).toContain("| Express + coatcheck, by id, memory | Go net/http + scs, memory ");
    expect(text).toContain("| Express + coatcheck, by id, memory | express-session, memory ");
    expect(costPlot([row("go/bare", 0), rows[1]!], "read")).toContain(">scs, memory<");
  });

  test("of a series has a column for every setup", () => {
    const larger = { ...MEASURED, setup: { ...SETUP, bytes: 1_000 }, rows: [ROWS[0]!, row("koa/memory", 9)] };
    const text = markdown(results([MEASURED, larger]));
    expect(text).toMatch(/over the framework \| 113 bytes \| +1 kB \|/);
    expect(text).toMatch(/\| Koa \+ coatcheck, by id, memory +\| +\+4\.0 \| \+9\.0 \|/);
    expect(text).toMatch(/\| Koa \+ koa-session, memory +\| +\+60\.0 \| +\|/);
  });

  test("comes back from its JSON", () => {
    expect(markdown(JSON.parse(json(results())) as Results)).toBe(markdown(results()));
  });
});

describe("docs/performance.md", () => {
  const page =
    "before\n<!-- bench: costs -->\nold\n<!-- bench: end -->\nbetween\n<!-- bench: size -->\nkept\n<!-- bench: end -->\n";

  test("gets the tables between its marks, and keeps the rest", () => {
    const found = withTables(page, { usual: results(), size: undefined, sessions: undefined, profile: undefined });
    expect(found).toMatch(/^before\n<!-- bench: costs -->\n\| µs/);
    expect(found).toContain("| Koa alone                       | (15.0) |");
    expect(found).toContain("\nkept\n<!-- bench: end -->\n");
    expect(found).not.toContain("old");
    expect(withTables(found, { usual: results(), size: undefined, sessions: undefined, profile: undefined })).toBe(
      found,
    );
  });

  test("cannot ask for what there is not", () => {
    const wrong = page.replace("costs", "colours");
    expect(() =>
      withTables(wrong, { usual: undefined, size: undefined, sessions: undefined, profile: undefined }),
    ).toThrow("colours");
  });
});

describe("a plot", () => {
  test("has a bar for every subject but the framework alone, as long as what it costs", () => {
    const plot = costPlot(ROWS, "read");
    const bars = [...plot.matchAll(/width="([\d.]+)" height="12" fill="#\w+" data-subject="(.*?)"/g)];
    expect(bars.map(([, width, subject]) => [subject, Number(width)])).toEqual([
      ["koa/memory", expect.closeTo((440 * Math.log10(4 / 0.1)) / 3, 0)],
      ["koa/koa-session", expect.closeTo((440 * Math.log10(60 / 0.1)) / 3, 0)],
    ]);
    expect(plot).toContain("(alone 15.0 µs)");
    expect(plot).toContain("+60.0");
  });

  test("shows whether an aim is met by more than a colour", () => {
    expect(ratioPlot([RATIO], ROWS)).toContain("<circle");
    expect(ratioPlot([{ ...RATIO, met: false }], ROWS)).not.toContain("<circle");
    expect(ratioPlot([{ ...RATIO, target: undefined }], ROWS)).not.toContain("koa-session");
  });

  test("of a series has a line for every subject", () => {
    const larger = { ...MEASURED, setup: { ...SETUP, bytes: 100_000 }, rows: [row("koa/memory", 40)] };
    const plot = seriesPlot([MEASURED, larger], "read");
    const lines = [...plot.matchAll(/points="(.*?)"/g)].map(([, points = ""]) => points.split(" ").length);
    expect(lines).toEqual([2, 1]);
    expect(plot).toContain("100 kB");
  });

  test("is a picture even of nothing", () => {
    expect(costPlot([], "read")).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
    expect(ratioPlot([], [])).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
  });

  test("escapes what it is told", () => {
    expect(words(1, 2, `<a> & "b"`)).toContain("&lt;a&gt; &amp; &quot;b&quot;");
    expect(element("g", { id: '"' })).toBe('<g id="&quot;"/>');
  });
});

describe("a logarithmic axis", () => {
  test("has its powers of ten, and keeps to its ends", () => {
    const { at, ticks } = logAxis([0.1, 100], [0, 300]);
    expect(ticks).toEqual([0.1, 1, 10, 100]);
    expect([0.1, 1, 100].map(at)).toEqual([0, 100, 300]);
    expect([-5, 0, 1_000].map(at)).toEqual([0, 0, 300]);
    expect([powerAbove(60), powerAbove(100), powerBelow(60), powerBelow(0.001)]).toEqual([100, 100, 10, 0.001]);
  });
});
