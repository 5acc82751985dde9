/**
 * Checks of the options that the stores share. Each throws a `TypeError` that names the option.
 *
 * @module
 */

import { type Clock, systemClock } from "../internal/clock.ts";

/** A number above 0, or the default. */
export function positiveNumber(option: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === "number" && value > 0 && value < Infinity) return value;
  throw new TypeError(`${option}: expected a number above 0`);
}

/** A whole number above 0, or the default. */
export function positiveInteger(option: string, value: number | undefined, otherwise: number): number {
  if (Number.isSafeInteger(positiveNumber(option, value, otherwise))) return value ?? otherwise;
  throw new TypeError(`${option}: expected a whole number`);
}

/** A function, or nothing. */
export function optionalFunction<T>(option: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === "function") return value;
  throw new TypeError(`${option}: expected a function`);
}

/** A clock, or that of the machine. */
export function clockOption(value: Clock | undefined): Clock {
  if (value === undefined) return systemClock;
  if (typeof value?.now === "function" && typeof value.after === "function") return value;
  throw new TypeError("clock: expected an object with the methods now and after");
}

/** True, false, or the default false. */
export function flag(option: string, value: boolean | undefined): boolean {
  if (value === undefined || typeof value === "boolean") return value === true;
  throw new TypeError(`${option}: expected true or false`);
}
