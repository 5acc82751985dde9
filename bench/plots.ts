/**
 * Results as pictures.
 *
 * @module
 */
import type { Route } from "./data.ts";
import { fraction, micros, setupTitle, signed, thousands, titleOf } from "./figures.ts";
import { labelAlone, labelBeside } from "./report.ts";
import type { Measured } from "./results.ts";
import type { Ratio, Row } from "./statistics.ts";
import { HOSTS, type Host } from "./subjects.ts";
import { element, INK, line, logAxis, picture, powerAbove, powerBelow, words, type LogAxis } from "./svg.ts";

const WIDTH = 900;
const ROW = 21;
const TOP = 74;
const BOTTOM = 52;

/** Where the axis of the horizontal plots is. */
const LEFT = 360;
const RIGHT = 800;

// --- what everyone costs ------------------------------------------------------------------------------------------------

/** Bars: what each subject costs on a route over its framework. */
export function costPlot(all: readonly Row[], route: Route): string {
  const rows = all.filter((row) => row.route === route);
  const costs = rows.filter(({ subject }) => !isBare(subject));
  const axis = logAxis([0.1, powerAbove(Math.max(1, ...costs.map(({ over }) => over.rounds[1])))], [LEFT, RIGHT]);
  const groups = grouped(rows, ({ subject }) => subject).filter(([, members]) => members.length > 1);
  const height = TOP + groups.reduce((sum, [, members]) => sum + (members.length + 0.5) * ROW, 0) + BOTTOM;
  const bars: string[] = [];
  let y = TOP + ROW / 2;
  for (const [host, members] of groups) {
    bars.push(
      groupTitle(
        y,
        host,
        members.find(({ subject }) => isBare(subject)),
      ),
    );
    for (const row of members.filter(({ subject }) => !isBare(subject))) bars.push(...costBar((y += ROW), row, axis));
    y += 1.5 * ROW;
  }
  return picture(WIDTH, height, `${titleOf(route)}, µs of CPU time a request over the framework`, [
    heading(titleOf(route)),
    legend([
      { colour: INK.ours, text: "coatcheck" },
      { colour: INK.theirs, text: "others" },
    ]),
    words(230, 50, "bar: best of the rounds; thin line: the least and the most in one round"),
    ...gridOf(axis, height, (tick) => (tick < 1 ? String(tick) : thousands(tick))),
    words((LEFT + RIGHT) / 2, height - 12, "µs of CPU time a request over the framework alone (logarithmic)", MIDDLE),
    ...bars,
  ]);
}

function groupTitle(y: number, host: string, bare: Row | undefined): string {
  const name = HOSTS[host as Host];
  const alone = bare === undefined ? "" : ` (alone ${micros(bare.cost.best)} µs)`;
  return words(12, y, `${name}${alone}`, { "font-weight": "bold" });
}

function costBar(y: number, { subject, label, ours, over }: Row, axis: LogAxis): string[] {
  const fill = ours ? INK.ours : INK.theirs;
  const [least, most] = over.rounds.map(axis.at) as [number, number];
  const end = Math.max(axis.at(over.best), LEFT + 1.5);
  return [
    words(LEFT - 10, y, withoutHost(label, subject), { "text-anchor": "end", ...(ours && { fill: INK.ours }) }),
    element("rect", { x: LEFT, y: y - 6, width: end - LEFT, height: 12, fill, "data-subject": subject }),
    line(least, y, Math.max(most, least + 1), y, { "stroke-width": 2 }),
    words(Math.max(end, most) + 7, y, signed(over.best)),
  ];
}

// --- ours as parts of theirs --------------------------------------------------------------------------------------------

/** Dots: ours as a part of theirs, beside what is aimed at. */
export function ratioPlot(all: readonly Ratio[], rows: readonly Row[]): string {
  const ratios = all.filter(({ target }) => target !== undefined);
  const lowest = Math.min(0.01, ...ratios.map(({ ratio }) => Math.max(ratio.best, 0.001)));
  const axis = logAxis([powerBelow(lowest), 10], [LEFT + 110, RIGHT]);
  const groups = grouped(ratios, ({ ours }) => ours);
  const height = TOP + groups.reduce((sum, [, members]) => sum + (members.length + 1.5) * ROW, 0) + BOTTOM;
  const dots: string[] = [];
  let y = TOP + ROW / 2;
  for (const [host, members] of groups) {
    dots.push(groupTitle(y, host, undefined));
    for (const ratio of members) dots.push(...ratioDot((y += ROW), ratio, rows, axis));
    y += 1.5 * ROW;
  }
  return picture(WIDTH, height, "What coatcheck costs, as a part of what others cost", [
    heading("What coatcheck costs, as a part of what others cost"),
    legend([
      { colour: INK.good, text: "aim is met" },
      { colour: INK.bad, text: "not met" },
    ]),
    words(230, 50, "dot: best; thin line: in one round; tall mark: the aim"),
    ...gridOf(axis, height, (tick) => (tick < 1 ? `1/${Math.round(1 / tick)}` : String(tick))),
    words((LEFT + 110 + RIGHT) / 2, height - 12, "part of the other's cost (logarithmic); left is cheaper", MIDDLE),
    ...dots,
  ]);
}

function ratioDot(
  y: number,
  { ours, peer, route, ratio, target = 1, met }: Ratio,
  rows: readonly Row[],
  axis: LogAxis,
): string[] {
  const fill = met ? INK.good : INK.bad;
  const [least, most] = ratio.rounds.map(axis.at) as [number, number];
  const [at, aim] = [axis.at(ratio.best), axis.at(target)];
  const mine = labelAlone(ours, rows).replace("coatcheck, ", "").replace("always another cookie", "other cookies");
  const theirs = labelBeside({ ours, peer }, rows).replace(/ \(.*\)$/, "");
  // Not by colour alone.
  const shape = met
    ? element("circle", { cx: at, cy: y, r: 5, fill })
    : element("path", { d: `M${(at - 6).toFixed(1)} ${y}l6 -6 6 6 -6 6z`, fill });
  return [
    words(LEFT + 20, y, `${mine} : ${theirs}`, END),
    words(LEFT + 32, y, route),
    line(least, y, Math.max(most, least + 1), y, { "stroke-width": 2 }),
    line(aim, y - 9, aim, y + 9, { "stroke-width": 3 }),
    shape,
    words(Math.max(at, most, aim) + 10, y, fraction(ratio.best)),
  ];
}

// --- series -------------------------------------------------------------------------------------------------------------

const PLOT_LEFT = 70;
const PLOT_RIGHT = 560;
const PLOT_BOTTOM = 390;
const LINES = [INK.ours, "#7a5cc9", "#17948a", "#b0469a", INK.theirs, INK.bad] as const;

/** Lines: what each subject costs over what is varied. */
export function seriesPlot(measured: readonly Measured[], route: Route): string {
  const setups = measured.map(({ setup }) => setup);
  const bySize = new Set(setups.map(({ bytes }) => bytes)).size > 1;
  const abscissa = measured.map(({ setup }) => (bySize ? setup.bytes : setup.sessions));
  const rows = measured.flatMap((each) => each.rows).filter((row) => row.route === route && !isBare(row.subject));
  const subjects = [...new Map(rows.map((row) => [row.subject, row.label]))];
  const best = rows.map(({ over }) => Math.max(over.best, 0.5));
  const x = logAxis([Math.min(...abscissa), Math.max(...abscissa)], [PLOT_LEFT, PLOT_RIGHT]);
  const y = logAxis([powerBelow(Math.min(...best)), powerAbove(Math.max(...best))], [PLOT_BOTTOM, 60]);
  const costs = (subject: string): readonly (number | undefined)[] =>
    measured.map((each) => each.rows.find((row) => row.route === route && row.subject === subject)?.over.best);
  const unit = bySize ? "size of the session's data as JSON" : "sessions";
  return picture(WIDTH, PLOT_BOTTOM + 60, `${titleOf(route)}, by ${unit}`, [
    heading(titleOf(route)),
    words(12, 46, "µs of CPU time a request over the framework alone (both axes logarithmic)"),
    ...y.ticks.flatMap((tick) => [
      line(PLOT_LEFT, y.at(tick), PLOT_RIGHT, y.at(tick), FAINT),
      words(PLOT_LEFT - 8, y.at(tick), thousands(tick), END),
    ]),
    ...setups.map((setup, index) =>
      words(x.at(abscissa[index] ?? 1), PLOT_BOTTOM + 20, setupTitle(setup, setups), MIDDLE),
    ),
    words((PLOT_LEFT + PLOT_RIGHT) / 2, PLOT_BOTTOM + 44, unit, MIDDLE),
    ...subjects.flatMap(([subject, label], index) => {
      const points = costs(subject).flatMap((cost, at) =>
        cost === undefined ? [] : [[x.at(abscissa[at] ?? 1), y.at(cost)] as const],
      );
      return seriesLine(points, withoutHost(label, subject), LINES[index % LINES.length] ?? INK.line, index);
    }),
  ]);
}

function seriesLine(
  points: readonly (readonly [number, number])[],
  label: string,
  stroke: string,
  index: number,
): string[] {
  const dash = label.startsWith("coatcheck") ? {} : { "stroke-dasharray": "6 4" };
  const at = 90 + index * 26;
  return [
    element("polyline", {
      points: points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "),
      fill: "none",
      stroke,
      "stroke-width": 2,
      ...dash,
    }),
    ...points.map(([cx, cy]) => element("circle", { cx, cy, r: 4, fill: stroke })),
    line(590, at, 625, at, { stroke, "stroke-width": 2, ...dash }),
    element("circle", { cx: 607, cy: at, r: 4, fill: stroke }),
    words(634, at, label),
  ];
}

// --- parts --------------------------------------------------------------------------------------------------------------

const MIDDLE = { "text-anchor": "middle" };
const END = { "text-anchor": "end" };
const FAINT = { "stroke-opacity": 0.35 };

function heading(text: string): string {
  return words(12, 20, text, { "font-size": 17, "font-weight": "bold" });
}

function legend(entries: readonly { readonly colour: string; readonly text: string }[]): string {
  return entries
    .map(({ colour, text }, index) => {
      const x = 12 + index * 120;
      return element("rect", { x, y: 44, width: 12, height: 12, fill: colour }) + words(x + 18, 50, text);
    })
    .join("");
}

function gridOf(axis: LogAxis, height: number, text: (tick: number) => string): string[] {
  return axis.ticks.flatMap((tick) => {
    const x = axis.at(tick);
    return [line(x, TOP - 6, x, height - BOTTOM, FAINT), words(x, height - BOTTOM + 16, text(tick), MIDDLE)];
  });
}

function grouped<Entry>(
  entries: readonly Entry[],
  subjectOf: (entry: Entry) => string,
): readonly [string, readonly Entry[]][] {
  const hosts = [...new Set(entries.map((entry) => hostOf(subjectOf(entry))))];
  return hosts.map((host) => [host, entries.filter((entry) => hostOf(subjectOf(entry)) === host)]);
}

function hostOf(subject: string): string {
  return subject.split("/", 1)[0] ?? subject;
}

function isBare(subject: string): boolean {
  return subject.endsWith("/bare");
}

function withoutHost(label: string, subject: string): string {
  return label.slice(HOSTS[hostOf(subject) as Host].length).replace(/^ (?:\+ )?/, "");
}
