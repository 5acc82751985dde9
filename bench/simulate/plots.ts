/**
 * Results as pictures.
 *
 * @module
 */
import { element, INK, line, logAxis, picture, words, type LogAxis } from "../svg.ts";
import { ROUTING_NAMES, whole } from "./report.ts";
import type { Curve, Found, Row } from "./series.ts";
import type { Routing } from "./traffic.ts";

const [WIDTH, HEIGHT] = [900, 430];
const [LEFT, RIGHT, TOP, BOTTOM] = [70, 590, 74, 350];
const END = { "text-anchor": "end" };
const MIDDLE = { "text-anchor": "middle" };
const FAINT = { "stroke-opacity": 0.35 };

/** Not told apart by colour alone: each line has marks of its own. */
const LOOKS = [
  { stroke: INK.ours, dash: "", mark: "circle" },
  { stroke: INK.theirs, dash: "7 4", mark: "square" },
  { stroke: INK.good, dash: "2 4", mark: "diamond" },
  { stroke: "#7a5cc9", dash: "", mark: "square" },
  { stroke: "#b0469a", dash: "7 4", mark: "diamond" },
  { stroke: INK.bad, dash: "2 4", mark: "circle" },
] as const;

type Look = (typeof LOOKS)[number];

interface Linear {
  at(value: number): number;
  readonly ticks: readonly number[];
}

interface Line {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly look: Look;
  readonly marked: boolean;
}

interface Chart {
  readonly title: string;
  readonly sentence: string;
  readonly x: { readonly axis: LogAxis; readonly name: string; readonly ticks: readonly (readonly [number, string])[] };
  readonly y: { readonly axis: Linear; readonly name: string; text(tick: number): string };
  readonly lines: readonly Line[];
}

/** How many reads copies answer, by the number of servers. */
export function hitRatePlot({ rows, world }: Found): string {
  const best = Math.max(...rows.map(({ hitRate }) => 100 * hitRate));
  return chart({
    title: "Hit rate of near caches",
    sentence: `The same ${whole(world.traffic.rate)} requests a second on more servers: with any server, each knows less; sticky, the number does not matter.`,
    x: serversAxis(rows),
    y: { axis: linear(Math.ceil(best / 20) * 20, 20), name: "reads that a copy answers, %", text: String },
    lines: byRouting(rows, ({ hitRate }) => 100 * hitRate),
  });
}

/** What the store has to do, by the number of servers. */
export function loadPlot({ rows, world }: Found): string {
  const { rate } = world.traffic;
  const calls = ({ storeReads, storeWrites }: Row): number => (storeReads + storeWrites) * rate;
  const step = niceStep(Math.max(...rows.map(calls), rate));
  const writes = rows.length === 0 ? 0 : rows.reduce((sum, row) => sum + row.storeWrites, 0) / rows.length;
  return chart({
    title: "Load of the store",
    sentence: `${whole(writes * rate)} of the calls a second are writes, whatever the routing; without near caches there would be ${whole(rate)} reads beside them.`,
    x: serversAxis(rows),
    y: {
      axis: linear(Math.ceil(Math.max(...rows.map(calls)) / step) * step, step),
      name: "reads and writes of the store a second",
      text: whole,
    },
    lines: byRouting(rows, calls),
  });
}

/** How many copies of ended sessions are gone by when. */
export function latencyPlot({ curves }: Found): string {
  const axis = logAxis([0.01, 20_000], [LEFT, RIGHT]);
  const names = ["0.01", "0.1", "1", "10", "100", "1 s", "10 s"];
  return chart({
    title: "How long a copy outlives its session",
    sentence: `In calm weather what a message takes; where no news are heard, until that is noticed or copies are maxAge old.`,
    x: {
      axis,
      name: "milliseconds from the answer to the sign-out (logarithmic)",
      ticks: axis.ticks.map((tick, at) => [tick, names[at] ?? ""]),
    },
    y: { axis: linear(100, 20), name: "copies elsewhere that are gone by then, %", text: String },
    lines: curves.map((curve, at) => curveLine(curve, LOOKS[at % LOOKS.length] ?? LOOKS[0])),
  });
}

function curveLine({ label, values }: Curve, look: Look): Line {
  const points = values.map((ms, at) => [Math.max(ms, 0.01), (100 * (at + 1)) / values.length] as const);
  return { label, look, points: [[0.01, 0], ...points], marked: false };
}

function byRouting(rows: readonly Row[], value: (row: Row) => number): readonly Line[] {
  const routings = [...new Set(rows.map(({ routing }) => routing))];
  return routings.map((routing: Routing, at) => ({
    label: ROUTING_NAMES[routing],
    look: LOOKS[at] ?? LOOKS[0],
    points: rows.filter((row) => row.routing === routing).map((row) => [row.servers, value(row)] as const),
    marked: true,
  }));
}

function serversAxis(rows: readonly Row[]): Chart["x"] {
  const servers = [...new Set(rows.map((row) => row.servers))];
  const most = Math.max(...servers);
  const axis = logAxis([Math.min(...servers, most / 2), most], [LEFT, RIGHT]);
  return { axis, name: "servers (logarithmic)", ticks: servers.map((count) => [count, String(count)]) };
}

function linear(most: number, step: number): Linear {
  return {
    at: (value) => BOTTOM + (TOP - BOTTOM) * (value / most),
    ticks: Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, at) => at * step),
  };
}

/** 1, 2 or 5 times a power of ten, of which some five make up `most`. */
function niceStep(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most / 5));
  return [1, 2, 5, 10].map((one) => one * power).find((step) => most / step <= 6) ?? power;
}

function chart({ title, sentence, x, y, lines }: Chart): string {
  return picture(WIDTH, HEIGHT, `${title}. ${sentence}`, [
    words(12, 20, title, { "font-size": 17, "font-weight": "bold" }),
    words(12, 44, sentence, { "font-size": 12 }),
    words(12, 62, y.name),
    ...y.axis.ticks.flatMap((tick) => [
      line(LEFT, y.axis.at(tick), RIGHT, y.axis.at(tick), FAINT),
      words(LEFT - 8, y.axis.at(tick), y.text(tick), END),
    ]),
    ...x.ticks.flatMap(([tick, text]) => [
      line(x.axis.at(tick), TOP, x.axis.at(tick), BOTTOM, FAINT),
      words(x.axis.at(tick), BOTTOM + 18, text, MIDDLE),
    ]),
    words((LEFT + RIGHT) / 2, BOTTOM + 44, x.name, MIDDLE),
    ...lines.flatMap((one, at) => drawn(one, x.axis, y.axis, at)),
  ]);
}

function drawn({ label, points, look, marked }: Line, x: LogAxis, y: Linear, at: number): readonly string[] {
  const placed = points.map(([a, b]) => [x.at(a), y.at(b)] as const);
  const dash = look.dash === "" ? {} : { "stroke-dasharray": look.dash };
  const stroke = { stroke: look.stroke, "stroke-width": 2, ...dash };
  const legend = TOP + 20 + at * 28;
  return [
    element("polyline", {
      points: placed.map((place) => place.map((n) => n.toFixed(1)).join(",")).join(" "),
      fill: "none",
      ...stroke,
    }),
    ...(marked ? placed : []).map(([cx, cy]) => mark(look, cx, cy)),
    line(RIGHT + 24, legend, RIGHT + 60, legend, stroke),
    ...(marked ? [mark(look, RIGHT + 42, legend)] : []),
    words(RIGHT + 70, legend, label),
  ];
}

function mark({ mark: shape, stroke: fill }: Look, x: number, y: number): string {
  if (shape === "circle") return element("circle", { cx: x, cy: y, r: 4.5, fill });
  if (shape === "square") return element("rect", { x: x - 4, y: y - 4, width: 8, height: 8, fill });
  return element("path", { d: `M${(x - 6).toFixed(1)} ${y.toFixed(1)}l6 -6 6 6 -6 6z`, fill });
}
