/**
 * What the OpenAPI document uses in several places.
 *
 * @module
 */

/** A part of the document: JSON. */
export type Part = Readonly<Record<string, unknown>>;

/** Points to a part under `components`. */
export const ref = (place: string): Part => ({ $ref: `#/components/${place}` });

const NO_STORE: Part = { "Cache-Control": ref("headers/Cache-Control") };

/** An answer of JSON, or without a body. */
export function answer(description: string, schema?: Part, headers: Part = {}, example?: unknown): Part {
  const content = schema === undefined ? {} : { content: { "application/json": media(schema, example) } };
  return { description, headers: { ...NO_STORE, ...headers }, ...content };
}

/** A body of a request. */
export function requestBody(schema: Part, example: unknown, required = true): Part {
  return { required, content: { "application/json": media(schema, example) } };
}

function media(schema: Part, example: unknown): Part {
  return example === undefined ? { schema } : { schema, example };
}

/** What every request of an application may come to; `more` is its own. */
export function answers(more: Part): Part {
  return {
    ...more,
    "400": ref("responses/BadRequest"),
    "401": ref("responses/Unauthorized"),
    "403": ref("responses/FromAPage"),
    "503": ref("responses/Unavailable"),
    default: ref("responses/Error"),
  };
}

/** The same, of a request with a body. */
export function answersToBody(more: Part): Part {
  return answers({
    ...more,
    "408": ref("responses/TooSlow"),
    "413": ref("responses/TooLarge"),
    "415": ref("responses/NotJson"),
  });
}

/** `parameters` of the document's components. */
export const PARAMETERS: Part = {
  name: {
    name: "name",
    in: "path",
    required: true,
    description: "Which kind of session: the name of the definition, as an application of TypeScript gives it.",
    schema: { type: "string", pattern: "^[A-Za-z0-9_-]{1,64}$" },
    example: "user",
  },
  token: {
    name: "Session-Token",
    in: "header",
    required: true,
    description:
      "The token of the session. Without it, or with one that is good for nothing, there is no session (404). Never put it anywhere else.",
    schema: { type: "string" },
    example: "Vn0l3vWcS2K9sEDp0QmJ1Lx8f7uR4yHbTzAeGiKoNqM",
  },
  ifMatch: {
    name: "If-Match",
    in: "header",
    description:
      "The `ETag` of the session as you know it, or several with commas, or `*`. When the session is another one by now, nothing is written and the answer is 412.",
    schema: { type: "string" },
    example: '"x3lZr4xTq0vJ8mY1s5u7w9A2c4E6g8I0k2M4o6Q8s0U"',
  },
  id: {
    name: "id",
    in: "path",
    required: true,
    description: "The public id of a session.",
    schema: ref("schemas/Id"),
  },
};

/** `headers` of the document's components. */
export const HEADERS: Part = {
  "Cache-Control": {
    description: "No answer may be kept by a cache.",
    required: true,
    schema: { type: "string", const: "no-store" },
  },
  ETag: {
    description: "Another one whenever the data or the subject is another one: for `If-Match`.",
    required: true,
    schema: { type: "string", pattern: '^"[A-Za-z0-9_-]{43}"$' },
  },
  "Session-Token": {
    description:
      "A new token. Keep it instead of yours: any answer may have one, because the token of who is signed in is renewed from time to time, and the old one is good for half a minute after the new one was first used.",
    schema: { type: "string", pattern: "^[A-Za-z0-9_-]{43,}$" },
  },
  "New-Session-Token": {
    description: "The token of the session from now on. It is told this once.",
    required: true,
    schema: { type: "string", pattern: "^[A-Za-z0-9_-]{43,}$" },
  },
  "Retry-After": {
    description: "Seconds after which to try again.",
    schema: { type: "string", pattern: "^[0-9]+$" },
  },
  "WWW-Authenticate": {
    description: "What is missing.",
    required: true,
    schema: { type: "string" },
  },
};

/** `responses` of the document's components. */
export const RESPONSES: Part = {
  BadRequest: answer(
    "The request is not as it should be: `bad-body`, `bad-data`, `bad-subject`, `bad-level`, `bad-keep`, `bad-remove`, `bad-query`, `bad-limit`, `bad-except`, `bad-if-match`, `bad-name`, `bad-call`, `bad-path`, `bad-target`, `bad-request`, `not-json`, `no-host`, `duplicate-header`. Nothing was done.",
    ref("schemas/Error"),
    {},
    { error: "bad-subject", message: "subject must be a text of 1 to 1000 characters." },
  ),
  Unauthorized: answer(
    "There is no credential, or none that is valid: `unauthorized`.",
    ref("schemas/Error"),
    { "WWW-Authenticate": ref("headers/WWW-Authenticate") },
    { error: "unauthorized", message: "Send Authorization: Bearer and a credential that is valid." },
  ),
  FromAPage: answer(
    "A server without credentials answers no page in a browser: `from-a-page`, `wrong-host`.",
    ref("schemas/Error"),
  ),
  NoSession: answer(
    "There is no such session: `no-session`. Whether it has ended, its token is forged or replaced, or it is another application's, is not told.",
    ref("schemas/Error"),
    {},
    { error: "no-session", message: "There is no such session, or not any more. POST /v1/sessions/{name} begins one." },
  ),
  Conflict: answer(
    "Others kept changing the session until the time was over (`conflict`), or its data is a list, which has no keys (`data-is-a-list`). Nothing was written.",
    ref("schemas/Error"),
  ),
  Changed: answer(
    "The session is not what `If-Match` names: `changed`. Nothing was written.",
    ref("schemas/Error"),
    {},
    {
      error: "changed",
      message: "The session is not what If-Match names, and nothing was written. Read it again, and decide anew.",
    },
  ),
  TooSlow: answer("The body did not come to its end in time: `too-slow`.", ref("schemas/Error")),
  TooLarge: answer("The body is too large: `too-large`.", ref("schemas/Error")),
  NotJson: answer("The body is not said to be JSON: `not-json-type`.", ref("schemas/Error")),
  NotCapable: answer("The store of this server cannot do that: `not-capable`.", ref("schemas/Error")),
  Unavailable: answer(
    "The store does not answer (`store-unavailable`: a write may or may not have been done), or the server has too much to do (`overloaded`, `too-many-refused`). Try again.",
    ref("schemas/Error"),
    { "Retry-After": ref("headers/Retry-After") },
    { error: "overloaded", message: "The application sends more requests than it may. Try again." },
  ),
  Error: answer("Anything else that is no success.", ref("schemas/Error"), {
    Allow: { description: "With 405: the methods of this path.", schema: { type: "string" } },
  }),
};
