/**
 * What Ktor 3 writes of a session by default: the JSON of kotlinx.serialization.
 *
 * @module
 */
import { copyJson, isPlainObject, parseJson, sameJson } from "../internal/json.ts";
import { checkNames } from "../internal/option-names.ts";
import type { KtorSerializer } from "./ktor-text.ts";

/** Options of {@link ktorJson}. */
export interface KtorJsonOptions<Data> {
  /**
   * The defaults of the Kotlin class's properties. Kotlin leaves out a property that has its default: here it is put back on
   * read and left out on write. Default none: such a property is missing from what is read.
   */
  readonly defaults?: Partial<Data> | undefined;
}

/** Strings, so that digits in them are passed over, and numbers. */
const LITERALS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * JSON as Ktor's default serializer reads and writes it: no spaces, properties in the order of the object, `null` written out.
 *
 * What the Kotlin class makes of it is its own business: with its defaults a property that it does not have is an error there
 * (by value the session is dropped, by id the request fails), and so is `1.5` for an `Int`. A subclass of a sealed class has a
 * property `type`. A `Long` beyond 2^53 cannot be a number here: a text with one gives null, rather than wrong digits.
 *
 * @throws TypeError that names `defaults`
 *
 * @example
 * ```ts
 * import { ktorJson } from "coatcheck/compat/ktor";
 *
 * const json = ktorJson<{ userId: string; cart: string[] }>({ defaults: { cart: [] } });
 * const text = json.write({ userId: "id2", cart: [] }); // '{"userId":"id2"}'
 * ```
 */
export function ktorJson<Data extends object>(options: KtorJsonOptions<Data> = {}): KtorSerializer<Data> {
  checkNames("ktorJson()", options, ["defaults"]);
  const defaults = defaultsOf(options.defaults);
  return Object.freeze({
    read(text: string): Data | null {
      const data = objectOf(text);
      return data === null || hasUnsafeInteger(text) ? null : ({ ...structuredClone(defaults), ...data } as Data);
    },
    write(data: unknown): string {
      const copy = copyJson(data, "session data");
      if (!isPlainObject(copy)) throw new TypeError("session data must be an object");
      const kept = Object.entries(copy).filter(
        ([name, value]) => !(Object.hasOwn(defaults, name) && sameJson(value, defaults[name])),
      );
      return JSON.stringify(Object.fromEntries(kept));
    },
  });
}

function defaultsOf(defaults: unknown): Readonly<Record<string, unknown>> {
  if (defaults === undefined) return {};
  const copy = copyJson(defaults, "defaults");
  if (!isPlainObject(copy)) throw new TypeError("defaults must be an object");
  return copy;
}

function objectOf(text: string): Record<string, unknown> | null {
  try {
    const value = parseJson(text);
    return isPlainObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** Whether an integer in a JSON text is one that a number cannot hold exactly. */
function hasUnsafeInteger(text: string): boolean {
  if (!/\d{16}/.test(text)) return false;
  for (const [literal] of text.matchAll(LITERALS)) {
    if (/^-?\d+$/.test(literal) && !Number.isSafeInteger(Number(literal))) return true;
  }
  return false;
}
