/**
 * Header edits, applied to whatever keeps the headers of a response.
 *
 * @module
 */
import type { HeaderEdit } from "../transport/transport.ts";

/** The headers of a response, as an adapter can reach them. */
export interface HeaderTarget {
  /** The value of a header, several lines joined by commas; undefined when it is not set. */
  get(name: string): string | undefined;
  set(name: string, value: string): void;
  append(name: string, value: string): void;
}

/** Applies edits, in order. */
export function applyEdits(edits: readonly HeaderEdit[], target: HeaderTarget): void {
  for (const { name, value, mode } of edits) {
    if (mode === "append") target.append(name, value);
    else if (mode === "set") target.set(name, value);
    else merge(name, value, target);
  }
}

function merge(name: string, value: string, target: HeaderTarget): void {
  const list = value === "private" ? withoutPublic(target.get(name)) : target.get(name);
  if (list === undefined || list === "") target.set(name, value);
  else if (!includes(list, value)) target.set(name, `${list}, ${value}`);
}

/** `Cache-Control` without what `private` contradicts. */
function withoutPublic(list: string | undefined): string | undefined {
  const entries = list?.split(",").filter((entry) => !/^\s*(?:public|s-maxage\s*=.*)\s*$/i.test(entry));
  return entries?.map((entry) => entry.trim()).join(", ");
}

function includes(list: string, value: string): boolean {
  const wanted = value.toLowerCase();
  return list.split(",").some((entry) => {
    const name = entry.trim().toLowerCase();
    return name === wanted || name === "*";
  });
}
