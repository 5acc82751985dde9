/**
 * The shape of a definition's data: checked when it is written and when it is read.
 *
 * @module
 */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { SessionError } from "../errors.ts";
import { copyJson, deepFreeze, frozenJson } from "../internal/json.ts";
import { isPromise } from "../internal/maybe-promise.ts";

/** Data that was read, as the handler may see it. */
export interface ReadData {
  readonly data: unknown;
  /** Whether it went through `migrate`. */
  readonly migrated: boolean;
}

/** What data of a definition must look like. */
export interface Shape {
  /**
   * What is kept of a value that the application hands in: checked, and a frozen copy of its own (P19). `known` is what was
   * kept before. Throws a `SessionError` when the schema refuses it, a `TypeError` when it would not survive JSON.
   */
  accept(value: unknown, known?: unknown): unknown;
  /** Data from a store or a token; undefined when it does not fit, and `migrate` did not help. Never throws. */
  read(data: unknown): ReadData | undefined;
}

/** The shape that a schema describes; without one, any object. */
export function shapeOf(schema: StandardSchemaV1 | undefined, migrate: ((old: unknown) => unknown) | undefined): Shape {
  const check = schema === undefined ? checkObject : (value: unknown) => checkSchema(schema, value);

  return {
    accept(value, known) {
      const checked = check(value);
      if ("issues" in checked) throw refused(checked.issues);
      // What a schema makes of data may be no JSON, also where it was seen before.
      const copy = frozenJson(checked.value, "session data", schema === undefined ? known : undefined);
      // Without a schema the copy is what was checked; with one, reading it back must find what writing it left (P17).
      if (schema !== undefined && "issues" in check(copy)) {
        throw new TypeError(
          "schema must accept its own output, as JSON: what it makes of this data it would refuse on read",
        );
      }
      return copy;
    },

    read(data) {
      if (data === undefined) return { data, migrated: false };
      try {
        const checked = check(data);
        if (!("issues" in checked)) return { data: checked.value, migrated: false };
        if (migrate === undefined) return undefined;
        const migrated = check(migrate(deepFreeze(data)));
        return "issues" in migrated ? undefined : { data: copyJson(migrated.value, "session data"), migrated: true };
      } catch {
        return undefined;
      }
    },
  };
}

type Checked = { readonly value: unknown } | { readonly issues: readonly string[] };

function checkObject(value: unknown): Checked {
  return typeof value === "object" && value !== null ? { value } : { issues: ["data (not an object)"] };
}

function checkSchema(schema: StandardSchemaV1, value: unknown): Checked {
  const result = schema["~standard"].validate(value);
  if (isPromise(result)) throw new TypeError("schema must answer synchronously");
  if (result.issues !== undefined) return { issues: result.issues.map(placeOf) };
  return checkObject(result.value);
}

/** Where an issue is, without its message: messages of schemas may quote the data. */
function placeOf({ path = [] }: StandardSchemaV1.Issue): string {
  const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
  return keys.length === 0 ? "data" : keys.join(".");
}

function refused(issues: readonly string[]): SessionError {
  return new SessionError("ERR_SESSION_INVALID_DATA", `The schema refuses this session data at: ${issues.join(", ")}`, {
    status: 422,
  });
}
