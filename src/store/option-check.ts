/**
 * Checks of the options that the stores share. Each throws a `TypeError` that names the option.
 *
 * @module
 */

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

/** True, false, or the default false. */
export function flag(option: string, value: boolean | undefined): boolean {
  if (value === undefined || typeof value === "boolean") return value === true;
  throw new TypeError(`${option}: expected true or false`);
}
