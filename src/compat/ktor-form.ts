/**
 * What Ktor wrote of a session by default before 3.0, and still writes by `reflectionSessionSerializer` and
 * `KotlinxBackwardCompatibleSessionSerializer`: a form whose values have a tag for their type, such as `visits=%23i1`.
 *
 * @module
 */
import { isPlainObject } from "../internal/json.ts";
import { checkNames } from "../internal/option-names.ts";
import { SCALARS } from "./ktor-form-scalars.ts";
import type { KtorClass, KtorObject } from "./ktor-form-schema.ts";
import { escape, FORM, FORM_NAME, QUERY, QUERY_ITEM, QUERY_KEY, unescape, type KtorSerializer } from "./ktor-text.ts";

/** Options of {@link ktorForm}. */
export interface KtorFormOptions {
  /**
   * In which order properties are written: `"alphabetical"`, as the reflection serializer does (default), or by
   * `"declaration"`, as `KotlinxBackwardCompatibleSessionSerializer` does. Every reader takes both.
   */
  readonly order?: "alphabetical" | "declaration" | undefined;
}

/** One type, ready for use. */
interface Node {
  /** Throws {@link UNREADABLE}. */
  read(tagged: string): unknown;
  write(value: unknown, path: string): string;
}

type Order = NonNullable<KtorFormOptions["order"]>;

const UNREADABLE = new Error("not of this form");
/** Ktor reads no more pairs of a query. */
const MAX_PAIRS = 1000;
const DEEPEST = 50;
const TYPE = "$type";

/**
 * The form text of a Kotlin class. Reads as Ktor's reflection reader does: in any order, more properties than are wanted, every
 * number that fits. A property that is missing is null where it may be, and otherwise makes the whole text null.
 *
 * Ktor leaves `&` as it is inside collections and then cannot read its own text; here it is escaped so that its reader can.
 *
 * @param fields The properties of the class with their types: a {@link KtorClass}.
 * @throws TypeError that names the property whose type is none, or `order`
 *
 * @example
 * ```ts
 * import { ktorForm } from "coatcheck/compat/ktor";
 *
 * const form = ktorForm({ userId: "string", visits: "int", cart: ["string"], theme: "string?" });
 * const text = form.write({ userId: "id2", visits: 1, cart: [], theme: null });
 * // "cart=%23cl&theme=%23n&userId=%23sid2&visits=%23i1"
 * ```
 */
export function ktorForm<const Class extends KtorClass>(
  fields: Class,
  options: KtorFormOptions = {},
): KtorSerializer<KtorObject<Class>> {
  checkNames("ktorForm()", options, ["order"]);
  const { order = "alphabetical" } = options;
  if (order !== "alphabetical" && order !== "declaration") {
    throw new TypeError('order must be "alphabetical" or "declaration"');
  }
  if (!isPlainObject(fields)) throw new TypeError("ktorForm() takes the properties of a class with their types");
  const node = classOf(fields, order, "session data", 0);
  return Object.freeze({
    read(text: string): KtorObject<Class> | null {
      try {
        return node.read(text) as KtorObject<Class>;
      } catch {
        return null;
      }
    },
    write: (data: unknown): string => node.write(data, "session data"),
  });
}

// --- types --------------------------------------------------------------------------------------------------------------

function nodeOf(type: unknown, order: Order, path: string, depth: number): Node {
  if (depth > DEEPEST) throw new TypeError(`${path} is nested deeper than ${DEEPEST} levels`);
  const inner = (of: unknown): Node => nodeOf(of, order, path, depth + 1);
  if (typeof type === "string") return scalarOf(type, path);
  if (Array.isArray(type) && type.length === 1) return collection("#cl", inner(type[0]), false);
  if (!isPlainObject(type)) throw new TypeError(`${path} has no type of ktorForm()`);
  const [mark = "", ...others] = Object.keys(type);
  if (others.length > 0 || !mark.startsWith("#") || mark === "#sealed") {
    return tagged("##", classOf(type, order, path, depth + 1));
  }
  const of = type[mark];
  if (mark === "#set") return collection("#cs", inner(of), true);
  if (mark === "#optional") return optional(inner(of));
  if (mark === "#nullable") return nullable(inner(of));
  if (mark === "#map" && Array.isArray(of) && of.length === 2) {
    return map(scalarOf(String(of[0]).replace("?", " "), path), inner(of[1]));
  }
  throw new TypeError(`${path} has no type of ktorForm()`);
}

function scalarOf(name: unknown, path: string): Node {
  if (typeof name === "string" && name.endsWith("?") && !name.endsWith("??")) {
    return nullable(scalarOf(name.slice(0, -1), path));
  }
  if (typeof name !== "string" || !Object.hasOwn(SCALARS, name)) {
    throw new TypeError(`${path} must have one of the types ${Object.keys(SCALARS).join(", ")}`);
  }
  const scalar = SCALARS[name as keyof typeof SCALARS];
  return {
    read: (text) => scalar.read(text) ?? unreadable(),
    write: (value, at) => scalar.write(value) ?? refuse(at, `be a ${name} of Kotlin's`),
  };
}

function tagged(tag: string, node: Node): Node {
  return {
    read: (text) => node.read(after(tag, text)),
    write: (value, path) => tag + node.write(value, path),
  };
}

function nullable(node: Node): Node {
  return {
    read: (text) => (text === "#n" || text === "#" ? null : node.read(text)),
    write: (value, path) => (value === null || value === undefined ? "#n" : node.write(value, path)),
  };
}

function optional(node: Node): Node {
  return {
    read: (text) => (text === "#om" ? null : node.read(after("#op", text))),
    write: (value, path) => (value === null || value === undefined ? "#om" : `#op${node.write(value, path)}`),
  };
}

/** Each item escaped, joined by `&`, and the whole escaped once more. */
function collection(tag: string, item: Node, distinct: boolean): Node {
  return {
    read(text) {
      const items = partsOf(after(tag, text)).map((part) => item.read(unescaped(part)));
      return distinct ? [...new Set(items)] : items;
    },
    write(value, path) {
      if (!Array.isArray(value)) return refuse(path, "be an array");
      const items = value.map((entry: unknown, index) => escape(item.write(entry, `${path}[${index}]`), QUERY_ITEM));
      return tag + escape((distinct ? [...new Set(items)] : items).join("&"), QUERY);
    },
  };
}

function map(key: Node, value: Node): Node {
  return {
    read(text) {
      const entries = partsOf(after("#m", text)).map((pair): [string, unknown] => {
        const [name, rest] = divided(pair);
        return [String(key.read(unescaped(name))), value.read(unescaped(rest))];
      });
      return Object.fromEntries(entries.filter(([name]) => name !== "__proto__"));
    },
    write(object, path) {
      if (!isPlainObject(object)) return refuse(path, "be an object");
      const entries = Object.entries(object).filter(([name]) => name !== "__proto__");
      const pairs = entries.map(([name, entry]) => {
        const written = escape(writtenKey(key, name, path), QUERY_KEY);
        return `${written}=${escape(value.write(entry, `${path}.${name}`), QUERY_ITEM)}`;
      });
      return `#m${escape(pairs.join("&"), QUERY)}`;
    },
  };
}

/** The keys of an object are texts, whatever the keys of the map are: the type tells. */
function writtenKey(key: Node, name: string, path: string): string {
  for (const candidate of [name, Number(name), name === "true"]) {
    try {
      const written = key.write(candidate, path);
      if (String(key.read(written)) === name) return written;
    } catch {
      // Not this one.
    }
  }
  return refuse(path, "have keys of the map's key type");
}

// --- classes ------------------------------------------------------------------------------------------------------------

function classOf(type: Readonly<Record<string, unknown>>, order: Order, path: string, depth: number): Node {
  const kinds = type["#sealed"];
  if (kinds === undefined) return plainClass(type, order, path, depth);
  if (!isPlainObject(kinds)) throw new TypeError(`${path} must name the subclasses of a sealed class`);
  const nodes = new Map(
    Object.entries(kinds).map(([name, fields]): [string, Node] => {
      if (!isPlainObject(fields)) throw new TypeError(`${path}.${name} must have properties, or be {}`);
      return [name, plainClass(fields, order, `${path}.${name}`, depth)];
    }),
  );
  return sealedClass(nodes);
}

function plainClass(fields: Readonly<Record<string, unknown>>, order: Order, path: string, depth: number): Node {
  const nodes = Object.entries(fields).map(([name, type]): [string, Node] => {
    if (name === TYPE || name === "__proto__") throw new TypeError(`${path}.${name} cannot be a property`);
    return [name, nodeOf(type, order, `${path}.${name}`, depth)];
  });
  // As Kotlin sorts: by the code units of UTF-16.
  const inOrder = order === "declaration" ? nodes : nodes.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    read(text) {
      const query = queryOf(text);
      return Object.fromEntries(nodes.map(([name, node]) => [name, node.read(query.get(name) ?? "#n")]));
    },
    write(value, at) {
      if (!isPlainObject(value)) return refuse(at, "be an object");
      const pairs = inOrder.map(([name, node]) => pairOf(name, node.write(value[name], `${at}.${name}`)));
      return pairs.join("&");
    },
  };
}

/** The name of the subclass stands last, without a tag. */
function sealedClass(kinds: ReadonlyMap<string, Node>): Node {
  return {
    read(text) {
      const name = queryOf(text).get(TYPE) ?? unreadable();
      const node = kinds.get(name) ?? unreadable();
      return { $type: name, ...(node.read(text) as object) };
    },
    write(value, path) {
      const name: unknown = isPlainObject(value) ? value[TYPE] : undefined;
      const node = typeof name === "string" ? kinds.get(name) : undefined;
      if (node === undefined) return refuse(path, `have the name of a subclass as ${TYPE}`);
      return [node.write(value, path), pairOf(TYPE, String(name))].filter((part) => part !== "").join("&");
    },
  };
}

function pairOf(name: string, text: string): string {
  return `${escape(name, FORM_NAME)}=${escape(text, FORM)}`;
}

/** The pairs of a query. Of those with one name Ktor takes the first; it drops blanks around names and values. */
function queryOf(text: string): ReadonlyMap<string, string> {
  const query = new Map<string, string>();
  for (const part of text.split("&", MAX_PAIRS)) {
    if (!part.includes("=")) continue;
    const [rawName, rawValue] = divided(part);
    const name = unescape(rawName.trim(), false) ?? unreadable();
    if (!query.has(name)) query.set(name, unescape(rawValue.trim(), true) ?? unreadable());
  }
  return query;
}

// --- what they share ----------------------------------------------------------------------------------------------------

function unreadable(): never {
  throw UNREADABLE;
}

function refuse(path: string, must: string): never {
  throw new TypeError(`${path} must ${must}`);
}

function after(tag: string, text: string): string {
  return text.startsWith(tag) ? text.slice(tag.length) : unreadable();
}

function unescaped(text: string): string {
  return unescape(text, false) ?? unreadable();
}

/** The parts of a collection, still escaped. */
function partsOf(escapedTwice: string): readonly string[] {
  return unescaped(escapedTwice)
    .split("&")
    .filter((part) => part !== "");
}

/** Before and after the first `=`. */
function divided(text: string): readonly [name: string, value: string] {
  const at = text.indexOf("=");
  return at === -1 ? unreadable() : [text.slice(0, at), text.slice(at + 1)];
}
