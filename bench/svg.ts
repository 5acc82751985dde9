/**
 * Pictures, as little as is needed for plots.
 *
 * @module
 */

/** Attributes of an element. */
export type Attributes = Readonly<Record<string, string | number>>;

/** Greys and colours that can be read on white and on black alike. */
export const INK = {
  text: "#7a7a7a",
  line: "#8a8a8a",
  ours: "#2f81d8",
  theirs: "#c9731f",
  good: "#2f9c4f",
  bad: "#d0453c",
} as const;

/** An element, with what is in it. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const given = Object.entries(attributes).map(([key, value]) => ` ${key}="${escaped(shown(value))}"`);
  const start = `<${name}${given.join("")}`;
  return children.length === 0 ? `${start}/>` : `${start}>${children.join("")}</${name}>`;
}

/** Words at a place: its left end, at half of its height. */
export function words(x: number, y: number, text: string, attributes: Attributes = {}): string {
  return element("text", { x, y, "dominant-baseline": "central", ...attributes }, escaped(text));
}

/** A straight line. */
export function line(x1: number, y1: number, x2: number, y2: number, attributes: Attributes = {}): string {
  return element("line", { x1, y1, x2, y2, stroke: INK.line, ...attributes });
}

/** The whole picture, one element a line. `title` is what is read out. */
export function picture(width: number, height: number, title: string, children: readonly string[]): string {
  const attributes = {
    xmlns: "http://www.w3.org/2000/svg",
    viewBox: `0 0 ${shown(width)} ${shown(height)}`,
    width,
    height,
    role: "img",
    "font-family": "system-ui, sans-serif",
    "font-size": 13,
    fill: INK.text,
  };
  const lines = [element("title", {}, escaped(title)), ...children].map((child) => `\n  ${child}`);
  return `${element("svg", attributes, ...lines, "\n")}\n`;
}

/** An axis on which every step is ten times the last. */
export interface LogAxis {
  /** Where a value stands; what is outside stands at the end. */
  at(value: number): number;
  /** The powers of ten. */
  readonly ticks: readonly number[];
}

/** From `least` to `most`, drawn from `start` to `end`. */
export function logAxis([least, most]: readonly [number, number], [start, end]: readonly [number, number]): LogAxis {
  const [low, high] = [Math.log10(least), Math.log10(most)];
  const first = Math.ceil(low - 1e-9);
  const count = Math.floor(high + 1e-9) - first + 1;
  return {
    at(value) {
      const part = (Math.log10(Math.max(value, least)) - low) / (high - low);
      return start + Math.min(part, 1) * (end - start);
    },
    ticks: Array.from({ length: count }, (_, index) => Number(`1e${first + index}`)),
  };
}

/** The power of ten at or above a value. */
export function powerAbove(value: number): number {
  return Number(`1e${Math.ceil(Math.log10(value) - 1e-9)}`);
}

/** The power of ten at or below a value. */
export function powerBelow(value: number): number {
  return Number(`1e${Math.floor(Math.log10(value) + 1e-9)}`);
}

function shown(value: string | number): string {
  return typeof value === "number" ? String(Math.round(value * 10) / 10) : value;
}

/** Text for an element. */
export function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
