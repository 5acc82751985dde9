/**
 * The first check of every options object.
 *
 * @module
 */

/** Throws a `TypeError` for what is no object, or has an option that `of` does not know: a misspelt one is not obeyed in silence. */
export function checkNames(of: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`${of} takes an object of options`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`${unknown} is not an option of ${of}: those are ${known.join(", ")}`);
}
