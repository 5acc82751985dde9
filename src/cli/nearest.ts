/**
 * What somebody meant.
 *
 * @module
 */

/** The one of `known` that is written most like `given`; undefined when none is near: a third of it may differ, and two letters of four. */
export function nearest(given: string, known: readonly string[]): string | undefined {
  const near = known
    .map((name) => ({ name, distance: name.startsWith(given) && given !== "" ? 0 : distance(given, name) }))
    .filter((entry) => entry.distance <= (entry.name.length < 4 ? 1 : Math.max(2, Math.floor(entry.name.length / 3))));
  return near.toSorted((a, b) => a.distance - b.distance)[0]?.name;
}

/** How many letters have to be changed, added or left out (Levenshtein). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= to.length; j++) {
      const change = (row[j - 1] ?? 0) + (letter === to[j - 1] ? 0 : 1);
      next[j] = Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
