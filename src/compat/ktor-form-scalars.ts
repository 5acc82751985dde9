/**
 * The values of the form text that are one word: how they are tagged.
 *
 * @module
 */
import type { KtorScalar } from "./ktor-form-schema.ts";

/** How a scalar is written after its tag, and read. */
export interface Scalar {
  /** Undefined when the text is none. */
  read(tagged: string): unknown;
  /** Undefined when the value is none. */
  write(value: unknown): string | undefined;
}

const INTEGER = /^(?:0|-?[1-9]\d*)$/;
const DECIMAL = /^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const LARGEST_FLOAT = 3.4028234663852886e38;
/** Between these Kotlin writes no exponent. */
const PLAIN_FROM = 1e-3;
const PLAIN_BELOW = 1e7;

const isInt = (value: number): boolean => Number.isInteger(value) && value >= -(2 ** 31) && value < 2 ** 31;
const isFloat = (value: number): boolean => Math.abs(value) <= LARGEST_FLOAT;

/** The scalars by their names. */
export const SCALARS: Readonly<Record<KtorScalar, Scalar>> = {
  string: texts("#s", () => true),
  char: texts("#ch", (text) => text.length === 1),
  bigDecimal: texts("#bd", (text) => DECIMAL.test(text)),
  bigInteger: texts("#bi", (text) => INTEGER.test(text)),
  boolean: {
    read: (tagged) => (tagged === "#bot" ? true : tagged === "#bof" ? false : undefined),
    write: (value) => (typeof value === "boolean" ? (value ? "#bot" : "#bof") : undefined),
  },
  int: numbers("#i", isInt, String),
  long: numbers("#l", Number.isSafeInteger, String),
  float: numbers("#f", isFloat, decimal),
  double: numbers("#f", Number.isFinite, decimal),
};

function texts(tag: string, fits: (text: string) => boolean): Scalar {
  return {
    read(tagged) {
      const text = tagged.slice(tag.length);
      return tagged.startsWith(tag) && fits(text) ? text : undefined;
    },
    write: (value) => (typeof value === "string" && fits(value) ? tag + value : undefined),
  };
}

/** As Ktor does, a number is read from the tag of any number, if it fits. */
function numbers(tag: string, fits: (value: number) => boolean, digits: (value: number) => string): Scalar {
  return {
    read(tagged) {
      const text = tagged.slice(2);
      const pattern = /^#[il]/.test(tagged) ? INTEGER : tagged.startsWith("#f") ? DECIMAL : undefined;
      const value = Number(text);
      return pattern?.test(text) === true && Number.isFinite(value) && fits(value) ? value : undefined;
    },
    write(value) {
      if (typeof value !== "number" || !Number.isFinite(value) || !fits(value)) return undefined;
      return tag + (Object.is(value, -0) && tag !== "#f" ? "0" : digits(value));
    },
  };
}

/** A number as `toString` of Kotlin (JDK 19 and later) writes it: always with a point, `1.0E10` from ten million on. */
export function decimal(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  if (size >= PLAIN_FROM && size < PLAIN_BELOW) {
    const plain = String(value);
    return plain.includes(".") ? plain : `${plain}.0`;
  }
  const shortest = value.toExponential();
  // Of two digits at least, the closest ones: `4.9E-324` and not `5.0E-324`.
  const [digits, exponent] = (shortest.includes(".") ? shortest : value.toExponential(1)).split("e");
  return `${digits}E${Number(exponent)}`;
}
