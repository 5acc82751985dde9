/**
 * Results as tables.
 *
 * @module
 */
import type { Checked, Compared } from "./check.ts";
import type { FeedCosts } from "./feed.ts";
import type { Found, Row } from "./series.ts";
import type { Quantiles } from "./summary.ts";
import type { Routing } from "./traffic.ts";

/** What routings are called in tables. */
export const ROUTING_NAMES: Readonly<Record<Routing, string>> = {
  random: "any server",
  sticky: "sticky",
  drained: "sticky, each server replaced once",
};

type Cells = readonly string[];

/** A table. The first `left` columns are texts. */
export function table(head: Cells, rows: readonly Cells[], left = 1): string {
  const rule = head.map((_, column) => (column < left ? "---" : "--:"));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** By number of servers and routing. `rate`: requests a second. */
export function fleetTable(rows: readonly Row[], rate: number): string {
  const head = [
    "Servers",
    "Routing",
    "Hit rate",
    "Reads of the store a second",
    "Writes a second",
    "Calls of the store a request",
    "Messages a second to each server",
    "Sign-outs of which another server had a copy",
    "It lived on for: median",
    "p99",
    "at most",
  ];
  return table(
    head,
    rows.map((row) => [
      String(row.servers),
      ROUTING_NAMES[row.routing],
      percent(100 * row.hitRate),
      whole(row.storeReads * rate),
      whole(row.storeWrites * rate),
      (row.storeReads + row.storeWrites).toFixed(2),
      whole(row.messages * rate),
      percent(row.copies.share),
      ...times(row.copies),
    ]),
    2,
  );
}

/** What one thing that is different changes. */
export function variedTable({ varied }: Found): string {
  const head = ["30 servers, sticky", "Hit rate", "Reads of the store a request", "Writes a request"];
  return table(
    head,
    varied.map(({ what, hitRate, storeReads, storeWrites }) => [
      what,
      percent(100 * hitRate),
      storeReads.toFixed(2),
      storeWrites.toFixed(2),
    ]),
  );
}

/** For how long copies of ended sessions live. */
export function curveTable({ curves }: Found): string {
  const head = [
    "To any server",
    "Sign-outs",
    "Of which a copy was elsewhere",
    "It lived on for: median",
    "p99",
    "at most",
  ];
  return table(
    head,
    curves.map(({ label, signOuts, copies }) => [label, whole(signOuts), percent(copies.share), ...times(copies)]),
  );
}

/** What the change feed costs. */
export function feedTables({ published, messageBytes, heard, verbs }: FeedCosts): string {
  const byListeners = table(
    ["Servers that listen", ...published.map(({ listeners }) => String(listeners))],
    [["Redis, for one change that is published", ...published.map(({ micros }) => `${micros.toFixed(1)} µs`)]],
  );
  const byVerb = table(
    ["Bytes of a verb", ...verbs.map(({ verb }) => `\`${verb}\``)],
    [
      ["to Redis", ...verbs.map(({ sent }) => whole(sent))],
      ["from Redis", ...verbs.map(({ received }) => whole(received))],
    ],
  );
  const message = `A message is ${whole(messageBytes)} bytes; a server with a near cache takes ${heard.toFixed(1)} µs of CPU time to hear one of a session that it has no copy of.`;
  return [byListeners, byVerb, message].join("\n\n");
}

/** Real and simulated side by side. */
export function checkTable(scenarios: readonly Checked[]): string {
  const head = ["", "Real", "Simulated", "Off by"];
  return scenarios
    .map(({ name, requests, signOuts, compared }) => {
      const rows = compared.map((one) => [one.figure, value(one, "real"), value(one, "simulated"), off(one)]);
      return `**${name}**: ${whole(requests)} requests, ${whole(signOuts)} sign-outs\n\n${table(head, rows)}`;
    })
    .join("\n\n");
}

function value(one: Compared, of: "real" | "simulated"): string {
  if (one.unit === "%") return percent(one[of]);
  return one.unit === "ms" ? milliseconds(one[of]) : `${one[of].toFixed(3)} ${one.unit}`;
}

function off({ unit, real, simulated, deviation, holds }: Compared): string {
  const sign = simulated < real ? "−" : "+";
  const text =
    unit === "ms" && real < 100
      ? `${sign}${milliseconds(Math.abs(simulated - real))}`
      : `${sign}${Math.abs(100 * deviation).toFixed(1)} %`;
  if (holds === undefined) return `${text} (shown only)`;
  return holds ? text : `**${text}** ✗`;
}

function times({ median, p99, most }: Quantiles): Cells {
  return [median, p99, most].map(milliseconds);
}

/** As exact as makes sense. */
export function milliseconds(ms: number): string {
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(2)} s`;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(2)} ms`;
}

function percent(number: number): string {
  return `${number.toFixed(1)} %`;
}

/** With a gap between thousands. */
export function whole(number: number): string {
  return Math.round(number)
    .toString()
    .replaceAll(/\B(?=(\d{3})+$)/g, " ");
}
