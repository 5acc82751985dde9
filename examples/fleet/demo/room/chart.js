/* Two charts of the last minute, drawn as SVG. */

const SVG = "http://www.w3.org/2000/svg";
const SECONDS = 60;
const HEIGHT = 168;
/** Of a mark. */
const RADIUS = 8;
/** Room for the numbers and the times. */
const EDGE = { left: 56, right: 8, top: 10, bottom: 24 };

/** Requests per second: a column a second, a piece a server, and a line where something happened to one. */
export function drawRequests(svg, seconds, names, marks) {
  const sums = seconds.map(({ requests }) => names.reduce((sum, name) => sum + (requests[name] ?? 0), 0));
  const frame = startFrame(svg, Math.max(4, ...sums), (value) => String(value));
  seconds.forEach(({ at, requests }, index) => {
    const column = columnOf(frame, index);
    let below = 0;
    for (const name of names) {
      const count = requests[name] ?? 0;
      if (count > 0) bar(frame, column, below, below + count, { "data-server": name });
      below += count;
    }
    const parts = names.map((name) => `${name} ${requests[name] ?? 0}`).join(", ");
    hint(frame, column, `${ago(seconds, at)}: ${parts}`);
  });
  drawMarks(frame, seconds, marks);
  const last = seconds.at(-1);
  const words = names.map((name) => `${name} ${last?.requests[name] ?? 0}`).join(", ");
  svg.setAttribute("aria-label", `Requests per second, by server. In the last second: ${words}.`);
}

/** The age of what was read: a pale column up to the oldest, and a dark line at the median. */
export function drawAges(svg, seconds) {
  const frame = startFrame(svg, Math.max(10, ...seconds.map(({ ages }) => ages?.max ?? 0)), duration);
  seconds.forEach(({ at, ages }, index) => {
    const column = columnOf(frame, index);
    if (ages === undefined) return;
    bar(frame, column, 0, ages.max, { class: "oldest" });
    const y = frame.y(ages.median);
    add(svg, "rect", { class: "median", x: column.x, y: y - 1.5, width: column.width, height: 3 });
    hint(frame, column, `${ago(seconds, at)}: oldest ${duration(ages.max)}, median ${duration(ages.median)}`);
  });
  const last = seconds.findLast(({ ages }) => ages !== undefined)?.ages;
  const words =
    last === undefined ? "Nothing was read." : `Oldest ${duration(last.max)}, median ${duration(last.median)}.`;
  svg.setAttribute("aria-label", `Age of the sessions that were read. ${words}`);
}

/** "340 ms", "2.5 s": also for what stands beside the charts. */
export function duration(ms) {
  if (ms < 1000) return `${Math.ceil(ms)} ms`;
  return `${Number((ms / 1000).toFixed(ms < 10_000 ? 1 : 0))} s`;
}

function startFrame(svg, most, words) {
  const width = svg.clientWidth || 320;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const step = niceStep(most / 4);
  const top = Math.ceil(most / step) * step;
  const bottom = HEIGHT - EDGE.bottom;
  const y = (value) => bottom - (value / top) * (bottom - EDGE.top);
  for (let value = 0; value <= top; value += step) {
    add(svg, "line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) });
    add(svg, "text", { x: EDGE.left - 8, y: y(value) + 4, "text-anchor": "end" }, words(value));
  }
  const inner = (width - EDGE.left - EDGE.right) / SECONDS;
  for (const back of inner < 8 ? [60, 30, 0] : [60, 45, 30, 15, 0]) {
    const anchor = back === 60 ? "start" : back === 0 ? "end" : "middle";
    const x = EDGE.left + (SECONDS - back) * inner;
    add(svg, "text", { x, y: HEIGHT - 6, "text-anchor": anchor }, back === 0 ? "now" : `−${back} s`);
  }
  return { svg, y, inner, bottom };
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10;
  return Math.max(1, step * power);
}

function columnOf({ inner }, index) {
  return { x: EDGE.left + index * inner + inner * 0.1, width: inner * 0.8 };
}

function bar({ svg, y }, { x, width }, from, to, attributes) {
  add(svg, "rect", { ...attributes, x, y: y(to), width, height: Math.max(0.5, y(from) - y(to) - 1) });
}

/** What is told when the pointer rests on a second. */
function hint({ svg, bottom, inner }, { x }, words) {
  const area = add(svg, "rect", { class: "hint", x, y: EDGE.top, width: inner, height: bottom - EDGE.top });
  add(area, "title", {}, words);
}

function drawMarks({ svg, bottom, inner }, seconds, marks) {
  const first = seconds[0]?.at ?? 0;
  // One below the other where they would cover each other.
  const taken = [];
  for (const { at, server, tone } of marks) {
    const place = at / 1000 - first;
    if (place < 0 || place > SECONDS) continue;
    const x = EDGE.left + place * inner;
    const row = taken.filter((other) => x - other < 2 * RADIUS + 1).length;
    taken.push(x);
    const y = EDGE.top + 4 + row * (2 * RADIUS + 2);
    const mark = add(svg, "g", { class: "mark", "data-server": server, "data-tone": tone });
    add(mark, "line", { x1: x, x2: x, y1: y + RADIUS, y2: bottom });
    add(mark, "circle", { cx: x, cy: y, r: RADIUS });
    add(mark, "text", { x, y: y + 4, "text-anchor": "middle" }, server);
  }
}

function ago(seconds, at) {
  return `${(seconds.at(-1)?.at ?? at) - at + 1} s ago`;
}

function add(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}
