/**
 * Flame graphs.
 *
 * @module
 */
import { sharesOf, type Frame, type Owner } from "./flame.ts";
import { element, escaped, INK, picture, words } from "./svg.ts";

const WIDTH = 1_000;
const MARGIN = 12;
const ROW = 18;
const TOP = 76;
const DEEPEST = 40;
/** Less than this part of the whole is not drawn. */
const LEAST = 0.002;
/** What a letter takes. */
const LETTER = 6;

const COLOURS: Readonly<Record<Owner, string>> = {
  coatcheck: INK.ours,
  packages: INK.theirs,
  node: "#8f8f8f",
  gc: INK.bad,
  native: "#5f6b76",
  bench: "#a08bc4",
};

/** What the owners of functions are called. */
export const OWNER_NAMES: Readonly<Record<Owner, string>> = {
  coatcheck: "coatcheck",
  packages: "framework and packages",
  node: "Node's JavaScript",
  gc: "garbage collection",
  native: "native code and system",
  bench: "the benchmark",
};

/** Callers above, callees below, as wide as the time they took. */
export function flamePlot(flame: Frame, title: string): string {
  const bars: string[] = [];
  const deepest = draw(flame, { x: MARGIN, depth: 0, scale: (WIDTH - 2 * MARGIN) / flame.total, flame, bars });
  return picture(WIDTH, TOP + (deepest + 1) * ROW + MARGIN, title, [
    words(MARGIN, 20, title, { "font-size": 17, "font-weight": "bold" }),
    ...legend(flame),
    ...bars,
  ]);
}

function legend(flame: Frame): string[] {
  const shares = Object.entries(sharesOf(flame)) as [Owner, number][];
  return shares.flatMap(([owner, share], index) => {
    const [x, y] = [MARGIN + (index % 3) * 270, index < 3 ? 44 : 62];
    return [
      element("rect", { x, y: y - 6, width: 12, height: 12, fill: COLOURS[owner] }),
      words(x + 18, y, `${OWNER_NAMES[owner]} ${Math.round(share * 100)} %`),
    ];
  });
}

interface Place {
  readonly x: number;
  readonly depth: number;
  /** Pixels a microsecond. */
  readonly scale: number;
  readonly flame: Frame;
  readonly bars: string[];
}

/** Draws a frame and those below it. Returns how deep that was. */
function draw(frame: Frame, { x, depth, scale, flame, bars }: Place): number {
  const width = frame.total * scale;
  bars.push(bar(frame, x, TOP + depth * ROW, width, frame.total / flame.total));
  let [at, deepest] = [x, depth];
  for (const child of frame.children) {
    if (depth < DEEPEST && child.total / flame.total >= LEAST) {
      deepest = Math.max(deepest, draw(child, { x: at, depth: depth + 1, scale, flame, bars }));
    }
    at += child.total * scale;
  }
  return deepest;
}

function bar({ name, owner }: Frame, x: number, y: number, width: number, part: number): string {
  const letters = Math.floor((width - 6) / LETTER);
  const label = letters < 3 ? "" : name.length <= letters ? name : `${name.slice(0, letters - 1)}…`;
  const box = { x, y, width: Math.max(width - 0.5, 0.5), height: ROW - 1, fill: COLOURS[owner] };
  const told = element("title", {}, escaped(`${name}, ${(part * 100).toFixed(1)} %`));
  const text = label === "" ? "" : words(x + 3, y + ROW / 2, label, { fill: "#fff", "font-size": 11 });
  return element("g", {}, told, element("rect", box), text);
}
