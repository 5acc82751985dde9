/**
 * Another spelling of tokens on the wire, for a server of another kind that reads and writes them too.
 *
 * @module
 */
import { MAX_CANDIDATES } from "./transport.ts";

/** How a token is spelt in the value of a cookie or a header. */
export interface TokenForm {
  /** The token of a value as it came; null when the value is not of this form, and an error counts as null. */
  read(value: string): string | null;
  /**
   * The value of a token: printable ASCII without blanks around it, and in a cookie without `;`. Throws a `TypeError` for a
   * token that cannot be spelt.
   */
  write(token: string): string;
}

/** What {@link readForm} makes of a value that is not of the form: nothing protects to it, so it is refused with an event. */
const NO_TOKEN = "";

/** Whether an option is a form. */
export function isTokenForm(value: unknown): value is TokenForm {
  const { read, write } = (value ?? {}) as Partial<Record<keyof TokenForm, unknown>>;
  return typeof read === "function" && typeof write === "function";
}

/** The distinct tokens of some values. Too many values are left as they are, so that "too many" shows (P5). Never throws. */
export function readForm(form: TokenForm | undefined, values: readonly string[]): readonly string[] {
  if (form === undefined || values.length === 0 || values.length > MAX_CANDIDATES) return values;
  return [...new Set(values.map((value) => tokenOf(form, value)))];
}

function tokenOf(form: TokenForm, value: string): string {
  try {
    return form.read(value) ?? NO_TOKEN;
  } catch {
    return NO_TOKEN;
  }
}

/**
 * The value of a token, which is the token itself without a form. Throws a `TypeError` for a value that would end the header,
 * or that would not come back as it was sent.
 *
 * @param extra What ends a value of this kind, beside control characters: `;` in a cookie
 */
export function writeForm(form: TokenForm | undefined, token: string, extra = ""): string {
  if (form === undefined) return token;
  const value = form.write(token);
  if (isPrintable(value) && (extra === "" || !value.includes(extra))) return value;
  const without = extra === "" ? "" : `, without "${extra}"`;
  throw new TypeError(`form.write() must return printable ASCII${without}, not empty and without blanks around it`);
}

/**
 * More than RFC 6265 §4.1.1 lets a server send, which is without `"`, `,`, `\` and blanks: browsers keep and return those, and
 * servers such as Ktor write them.
 */
function isPrintable(value: unknown): value is string {
  return typeof value === "string" && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value);
}
