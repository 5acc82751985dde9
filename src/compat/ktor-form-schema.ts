/**
 * The types of a Kotlin session class, as data: what the form text needs to be told, because an `Int` and a `Double` are both
 * numbers here.
 *
 * @module
 */

/**
 * A property of one value. Enums and UUIDs are `"string"`. A `"long"` must be a safe integer; `"bigDecimal"` and
 * `"bigInteger"` are texts, so that no digit is lost.
 */
export type KtorScalar =
  | "string"
  | "int"
  | "long"
  | "float"
  | "double"
  | "boolean"
  | "char"
  | "bigDecimal"
  | "bigInteger";

/**
 * A type: a scalar; with a `?`, one that may be null; a list `["string"]`; a nested class `{ street: "string" }`; or one of
 * those that are marked by a `#`.
 *
 * - `{ "#set": type }`: a `Set`, here an array
 * - `{ "#map": [keyType, type] }`: a `Map`, here an object; its keys are scalars
 * - `{ "#optional": type }`: a `java.util.Optional`, here the value or null
 * - `{ "#nullable": type }`: a list, set, map or class that may be null
 * - `{ "#sealed": { Name: { … } } }`: a sealed class, by the simple names of its subclasses; here an object with `$type`
 */
export type KtorType =
  | KtorScalar
  | `${KtorScalar}?`
  | readonly [KtorType]
  | { readonly "#set": KtorType }
  | { readonly "#map": readonly [KtorScalar, KtorType] }
  | { readonly "#optional": KtorType }
  | { readonly "#nullable": KtorType }
  | KtorClass;

/** A class: its properties, in the order of their declaration; or a sealed class with its subclasses. */
export type KtorClass = KtorFields | { readonly "#sealed": { readonly [name: string]: KtorFields } };

/** The properties of a class. */
export interface KtorFields {
  readonly [property: string]: KtorType;
}

/** What a value of a {@link KtorType} is in TypeScript. */
export type KtorValue<Type> = Type extends `${infer Scalar extends KtorScalar}?`
  ? ScalarValue<Scalar> | null
  : Type extends KtorScalar
    ? ScalarValue<Type>
    : Type extends readonly [infer Item]
      ? KtorValue<Item>[]
      : Type extends { readonly "#set": infer Item }
        ? KtorValue<Item>[]
        : Type extends { readonly "#map": readonly [unknown, infer Value] }
          ? Record<string, KtorValue<Value>>
          : Type extends { readonly "#optional": infer Inner } | { readonly "#nullable": infer Inner }
            ? KtorValue<Inner> | null
            : KtorObject<Type>;

/** What an object of a {@link KtorClass} is in TypeScript; of a class that the compiler does not know, any object. */
export type KtorObject<Class> = string extends keyof Class ? object : KnownObject<Class>;

type KnownObject<Class> = Class extends { readonly "#sealed": infer Kinds }
  ? { [Name in keyof Kinds & string]: { $type: Name } & KtorObject<Kinds[Name]> }[keyof Kinds & string]
  : { -readonly [Property in keyof Class]: KtorValue<Class[Property]> };

type ScalarValue<Scalar extends KtorScalar> = Scalar extends "int" | "long" | "float" | "double"
  ? number
  : Scalar extends "boolean"
    ? boolean
    : string;
