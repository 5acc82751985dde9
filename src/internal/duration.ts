/**
 * Durations in options.
 *
 * @module
 */

/** Seconds, or a text such as `"90s"`, `"30m"`, `"12h"`, `"7d"`. */
export type Duration = number | `${number}${"s" | "m" | "h" | "d"}`;

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const FORM = /^(\d+(?:\.\d+)?)([smhd])$/;

/** A duration in milliseconds. Throws a `TypeError` that names the option. */
export function milliseconds(option: string, duration: unknown): number {
  const ms = typeof duration === "number" ? duration * 1000 : parsed(duration);
  if (ms === undefined || !Number.isFinite(ms) || ms < 1 || ms > 4e14) {
    throw new TypeError(`${option} must be a number of seconds above 0, or a text such as "90s", "30m", "12h" or "7d"`);
  }
  return Math.round(ms);
}

function parsed(duration: unknown): number | undefined {
  const match = typeof duration === "string" ? FORM.exec(duration) : null;
  return match === null ? undefined : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
}
