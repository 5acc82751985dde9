/**
 * Figures as text.
 *
 * @module
 */
import type { Route } from "./data.ts";
import type { Setup } from "./options.ts";
import type { Spread } from "./statistics.ts";

/** `12.3`, and `1 234` where tenths are noise. */
export function micros(value: number): string {
  return Math.abs(value) < 1_000 ? value.toFixed(1) : thousands(value);
}

/** `+12.3`, `−0.4`. */
export function signed(value: number): string {
  return `${value < 0 ? "−" : "+"}${micros(Math.abs(value))}`;
}

/** `1 000 000`. */
export function thousands(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(?:\d{3})+$)/g, " ");
}

/** `1/6`, `1.30 ×`. Nothing is faster than nothing: below a thousandth it is noise. */
export function fraction(value: number): string {
  if (value < 0.001) return "≈ 0";
  if (value >= 1) return `${value.toFixed(value < 9.995 ? 2 : 0)} ×`;
  const part = 1 / value;
  return `1/${part < 20 ? part.toFixed(1).replace(/\.0$/, "") : Math.round(part)}`;
}

/** The least and the most that a round alone gives. */
export function range({ rounds: [least, most] }: Spread, text: (value: number) => string): string {
  return `${text(least)} … ${text(most)}`;
}

/** `✓`, `✗`, or nothing. */
export function mark(met: boolean | undefined): string {
  return met === undefined ? "" : met ? "✓" : "✗";
}

/** What is done on a route. */
export function titleOf(route: Route): string {
  return {
    untouched: "Untouched: no look at the session",
    read: "Read: one look at it",
    write: "Write: a counter in it",
    "sign-in": "Sign-in: a visitor without a cookie gets a session",
  }[route];
}

/** What distinguishes a setup from the others of its run. */
export function setupTitle({ bytes, sessions, clients }: Setup, others: readonly Setup[]): string {
  const parts = [
    ...(others.some((other) => other.bytes !== bytes) ? [sizeOf(bytes)] : []),
    ...(others.some((other) => other.sessions !== sessions)
      ? [`${thousands(sessions)} session${sessions === 1 ? "" : "s"}`]
      : []),
    ...(others.some((other) => other.clients !== clients) ? [`${clients} client`] : []),
  ];
  return parts.join(", ");
}

function sizeOf(bytes: number): string {
  return bytes < 1_000 ? `${bytes} bytes` : `${bytes / 1_000} kB`;
}
