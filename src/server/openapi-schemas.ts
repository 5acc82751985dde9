/**
 * The shapes of what travels, for the OpenAPI document.
 *
 * @module
 */
import { ref, type Part } from "./openapi-parts.ts";

const MS = "Milliseconds since 1970-01-01T00:00:00Z.";

const time = (description: string): Part => ({ type: "integer", format: "int64", description: `${description} ${MS}` });

const timeOrNull = (description: string): Part => ({ ...time(description), type: ["integer", "null"] });

const text = (longest: number, description: string): Part => ({
  type: "string",
  minLength: 1,
  maxLength: longest,
  description,
});

const SUMMARY: Part = {
  id: ref("schemas/Id"),
  subject: { type: ["string", "null"], description: "Whose session it is. Null: a guest's.", examples: ["user-42"] },
  level: {
    type: ["string", "null"],
    description: "How sure the application is, in its own words.",
    examples: ["mfa"],
  },
  createdAt: time("When it began."),
  authenticatedAt: timeOrNull("When its subject last signed in."),
  lastSeenAt: time("When it was last used, to a tenth of the idle timeout."),
  expiresAt: timeOrNull("When it ends if it is not used again. Null: not by itself."),
};

const object = (properties: Part, required: readonly string[], description: string): Part => ({
  type: "object",
  description,
  properties,
  required,
  additionalProperties: false,
});

/** What a session looks like in a list. */
export const SUMMARY_EXAMPLE: Part = {
  id: "q83vEjRWeJCrze8SNFZ4kA",
  subject: "user-42",
  level: "mfa",
  createdAt: 1767225600000,
  authenticatedAt: 1767225600000,
  lastSeenAt: 1767225600000,
  expiresAt: 1767227580000,
};

/** What a session looks like. */
export const SESSION_EXAMPLE: Part = { ...SUMMARY_EXAMPLE, data: { cart: ["tea"] } };

const SUBJECT = text(1000, "Whose session it is: the id of a user. Not to be changed but by signing in.");
const LEVEL = text(256, "How sure you are, in your own words: `password`, `mfa`.");
const DATA = ref("schemas/Data");
const KEYS: Part = { type: "array", maxItems: 1000, items: { type: "string" } };

const SESSION_SCHEMAS: Part = {
  Id: {
    type: "string",
    pattern: "^[A-Za-z0-9_-]{22,86}$",
    description: "The public id of a session: safe to log and to show, worth nothing as a token.",
    examples: ["q83vEjRWeJCrze8SNFZ4kA"],
  },
  Data: {
    type: "object",
    additionalProperties: true,
    description:
      "What is kept: any JSON object, at most 100 levels deep. Numbers are doubles: send a whole number beyond 2^53 as a text.",
    examples: [{ cart: ["tea"] }],
  },
  Summary: object(SUMMARY, Object.keys(SUMMARY), "A session in a list: without its data."),
  Session: object(
    {
      ...SUMMARY,
      data: {
        type: ["object", "array"],
        items: {},
        additionalProperties: true,
        description: "What is kept. An application of TypeScript may have put a list there.",
      },
    },
    [...Object.keys(SUMMARY), "data"],
    "A session.",
  ),
  Beginning: object(
    { data: DATA, subject: SUBJECT, level: LEVEL },
    [],
    "A new session. With a subject it is signed in, and `level` goes with it.",
  ),
  Replacement: object({ data: DATA }, ["data"], "The data as a whole."),
  Change: {
    ...object(
      { data: DATA, remove: { ...KEYS, description: "Keys that go. None that `data` sets." } },
      [],
      "Keys of the data that are set, and keys that are removed: others stay. Null is a value as any other.",
    ),
    minProperties: 1,
  },
  SigningIn: object(
    {
      subject: SUBJECT,
      level: LEVEL,
      keep: {
        ...KEYS,
        description:
          "When somebody else was signed in: the keys of the data that the new session takes over. A guest's data is always kept.",
      },
    },
    ["subject"],
    "Who signed in.",
  ),
  SessionList: object(
    {
      sessions: { type: "array", items: ref("schemas/Summary") },
      cursor: {
        type: "string",
        description: "For the next page. Not there: this was the last one. A list by subject has one page.",
      },
    },
    ["sessions"],
    "Sessions.",
  ),
  Revoked: object({ revoked: { type: "integer", minimum: 0 } }, ["revoked"], "How many sessions were ended."),
};

const STATUS = (value: string): Part => object({ status: { type: "string", const: value } }, ["status"], "It is well.");

const key: Part = { type: "string", maxLength: 4096, description: "Any text." };
const now: Part = { type: "number", description: `The time by the clock of the application. ${MS}` };

function call(verb: string, fields: Part, optional: readonly string[] = []): Part {
  const properties = { verb: { type: "string", const: verb }, ...fields, now };
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", title: verb, properties, required };
}

const record = ref("schemas/StoredRecord");
const previousSubject: Part = { ...key, description: "The subject under which the record was indexed." };

const STORE_SCHEMAS: Part = {
  StoredRecord: {
    type: "object",
    description: "What a store keeps under a key.",
    properties: {
      version: { ...key, description: "New with every write." },
      revision: { type: "string", description: "The store's own, as JSON: to be handed back as it came." },
      expiresAt: { type: "number", description: `When it ends. ${MS}` },
      subject: { ...key, description: "Whose it is." },
      value: { type: "string", description: "The session, as text." },
    },
    required: ["version", "expiresAt", "value"],
  },
  StoreCall: {
    description: "A verb of a store, and its arguments: those of the store contract, by their names there.",
    oneOf: [
      call("create", { key, record }),
      call("read", { key, fresh: { type: "boolean" } }, ["fresh"]),
      call(
        "update",
        {
          key,
          record,
          base: {
            type: "object",
            properties: { version: key, revision: { type: "string" }, subject: key },
            required: ["version"],
          },
          previousSubject,
        },
        ["previousSubject"],
      ),
      call("touch", { key, expiresAt: now }),
      call("delete", { key, previousSubject }, ["previousSubject"]),
      call("listBySubject", { subject: key }),
      call("deleteBySubject", { subject: key, except: key }, ["except"]),
      call("list", { prefix: key, limit: { type: "integer", minimum: 1 }, cursor: { type: "string" } }, ["cursor"]),
      call("count", { prefix: key }),
    ],
  },
  StoreAnswer: {
    oneOf: [
      {
        type: "object",
        title: "done",
        properties: { ok: { description: "What the verb answers; null for a record that is not there." } },
        required: ["ok"],
        additionalProperties: false,
      },
      {
        type: "object",
        title: "failed",
        properties: {
          error: { type: "string", enum: ["store-unavailable", "not-capable", "bad-call"] },
          message: { type: "string" },
          timedOut: { type: "boolean", description: "What the store did is unknown." },
        },
        required: ["error", "message"],
        additionalProperties: false,
      },
    ],
  },
};

const CHANGE_LINE: Part = {
  oneOf: [
    {
      ...object(
        { key, version: { ...key, description: "As it was written. Not there: it was deleted, or nobody knows." } },
        ["key"],
        "A record was changed or deleted.",
      ),
      title: "change",
    },
    {
      ...object(
        {
          now: { type: "number", description: "What the server has heard of before is told." },
          current: { type: "number", description: "All that was done before is told, where the store says so." },
        },
        ["now"],
        "Comes every second, in milliseconds of a clock of the server's that is never set.",
      ),
      title: "pulse",
    },
    { ...object({ lost: { type: "boolean", const: true } }, ["lost"], "Nothing is told any more."), title: "lost" },
  ],
};

/** `schemas` of the document's components. */
export const SCHEMAS: Part = {
  Error: object(
    {
      error: {
        type: "string",
        pattern: "^[a-z0-9-]+$",
        description:
          "What went wrong, for programs. There may be new ones: go by the status for those that you do not know.",
        examples: ["no-session"],
      },
      message: { type: "string", description: "What to do about it, for people. It quotes nothing of the request." },
    },
    ["error", "message"],
    "Why a request was refused.",
  ),
  ...SESSION_SCHEMAS,
  ...STORE_SCHEMAS,
  ChangeLine: CHANGE_LINE,
  Alive: STATUS("ok"),
  Ready: STATUS("ready"),
};
