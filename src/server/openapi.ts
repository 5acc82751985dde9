/**
 * What the session server offers, as an OpenAPI 3.1 document: `GET /openapi.json`.
 *
 * @module
 */
import {
  answer,
  answers,
  answersToBody,
  HEADERS,
  PARAMETERS,
  ref,
  requestBody,
  RESPONSES,
  type Part,
} from "./openapi-parts.ts";
import { SCHEMAS } from "./openapi-schemas.ts";
import { SESSION_PATHS } from "./openapi-sessions.ts";

/** The document: JSON, the same one each time. */
export function openapi(): object {
  return DOCUMENT;
}

const DESCRIPTION = `Sessions for applications in any language.

An application sends its credential with every request, as \`Authorization: Bearer …\`: it sees the sessions of its own namespace and
no others. A server without credentials, on loopback or a Unix socket, needs none. The token of a session travels in the header
\`Session-Token\` and nowhere else, both ways: whenever an answer has one, it is to be kept instead of the one before.

Errors are JSON, \`{ "error": code, "message": … }\`, also those that no operation lists: \`no-such-path\` (404),
\`method-not-allowed\` (405), \`too-many-headers\` and \`headers-too-large\` (431), \`internal\` (500). Wherever there is \`GET\` there is
\`HEAD\`.`;

const STORE: Part = {
  post: {
    tags: ["store"],
    operationId: "callStore",
    summary: "The verbs of a store, one or many in a request",
    description:
      "What `remoteStore` of `coatcheck/store/remote` sends. It is made for that client of the same version: in other languages take `/v1/sessions`. Calls of one request are carried out side by side, each for itself.",
    requestBody: requestBody(
      {
        type: "object",
        properties: { calls: { type: "array", minItems: 1, maxItems: 256, items: ref("schemas/StoreCall") } },
        required: ["calls"],
      },
      { calls: [{ verb: "read", key: "user/q83vEjRWeJCrze8SNFZ4kA", now: 1767225600000 }] },
    ),
    responses: answersToBody({
      "200": answer(
        "An answer for each call, in their order.",
        {
          type: "object",
          properties: { answers: { type: "array", items: ref("schemas/StoreAnswer") } },
          required: ["answers"],
          additionalProperties: false,
        },
        {},
        { answers: [{ ok: null }] },
      ),
    }),
  },
};

const CHANGES: Part = {
  get: {
    tags: ["store"],
    operationId: "watchChanges",
    summary: "The changes of records, line by line",
    description:
      "For `remoteStore` with a near cache in front of it. The answer does not end by itself: each line is JSON.",
    responses: answers({
      "200": {
        description: "From the first line on everything is told, until a line says `lost`, or the answer ends.",
        headers: {
          "Cache-Control": ref("headers/Cache-Control"),
          "X-Accel-Buffering": {
            description: "For nginx: not to be collected.",
            schema: { type: "string", const: "no" },
          },
        },
        content: { "application/x-ndjson": { schema: ref("schemas/ChangeLine") } },
      },
      "501": ref("responses/NotCapable"),
    }),
  },
};

const OPERATIONS: Part = {
  "/healthz": open("health", "Whether the server lives", { "200": answer("It does.", ref("schemas/Alive")) }),
  "/readyz": open("readiness", "Whether the server can work", {
    "200": answer("It can.", ref("schemas/Ready")),
    "503": answer(
      "It cannot: its store does not answer (`store-unavailable`), or it is being stopped (`stopping`).",
      ref("schemas/Error"),
    ),
  }),
  "/metrics": open("metrics", "What the server has done, for Prometheus", {
    "200": {
      description: "The text format 0.0.4. A server may ask for a credential, or have no metrics (404).",
      headers: { "Cache-Control": ref("headers/Cache-Control") },
      content: { "text/plain": { schema: { type: "string" } } },
    },
    "401": ref("responses/Unauthorized"),
  }),
  "/openapi.json": open("describe", "This document", { "200": answer("The document.", { type: "object" }) }),
};

function open(operationId: string, summary: string, responses: Part): Part {
  const all = { ...responses, default: ref("responses/Error") };
  return { get: { tags: ["operation"], operationId, summary, security: [], responses: all } };
}

const IDENTITY = "Percent-encoded: all but letters, digits and `-._~@:`.";

const header = (description: string): Part => ({
  description: `${description} ${IDENTITY}`,
  schema: { type: "string" },
});

const FORWARD_AUTH: Part = {
  parameters: [
    {
      name: "namespace",
      in: "path",
      required: true,
      description: "The application's namespace.",
      schema: { type: "string", pattern: "^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$" },
      example: "shop",
    },
    ref("parameters/name"),
  ],
  get: {
    tags: ["forward-auth"],
    operationId: "forwardAuth",
    summary: "Tells a reverse proxy whose session a request belongs to",
    description:
      "For nginx (`auth_request`), HAProxy, Traefik, Caddy and Envoy, for what `--forward-auth` names. The proxy passes on the cookies of the request that it asks about. Any method will do, and no answer has a body of interest.",
    security: [],
    responses: {
      "200": {
        description: "Somebody is signed in.",
        headers: {
          "Cache-Control": ref("headers/Cache-Control"),
          "X-Session-Subject": { ...header("Whose session it is."), required: true },
          "X-Session-Id": { ...header("Its public id."), required: true },
          "X-Session-Level": header("Its level, where it has one."),
        },
      },
      "401": answer("Nobody is signed in.", undefined, { "WWW-Authenticate": ref("headers/WWW-Authenticate") }),
      "503": {
        description: "The store does not answer: nobody knows.",
        headers: { "Cache-Control": ref("headers/Cache-Control") },
        content: { "text/plain": { schema: { type: "string" } } },
      },
    },
  },
};

const DOCUMENT: object = Object.freeze({
  openapi: "3.1.0",
  info: {
    title: "coatcheck session server",
    version: "1",
    description: DESCRIPTION,
    license: { name: "MIT", identifier: "MIT" },
  },
  servers: [{ url: "/" }],
  tags: [
    { name: "sessions", description: "Sessions, for applications in any language." },
    { name: "store", description: "Records, for `remoteStore`." },
    { name: "forward-auth", description: "For reverse proxies." },
    { name: "operation", description: "For those who run the server." },
  ],
  security: [{ credential: [] }, {}],
  paths: {
    ...SESSION_PATHS,
    "/v1/store": STORE,
    "/v1/changes": CHANGES,
    "/forward-auth/{namespace}/{name}": FORWARD_AUTH,
    ...OPERATIONS,
  },
  components: {
    securitySchemes: {
      credential: {
        type: "http",
        scheme: "bearer",
        description: "The credential of an application, as `coatcheck credential` made it.",
      },
    },
    parameters: PARAMETERS,
    headers: HEADERS,
    responses: RESPONSES,
    schemas: SCHEMAS,
  },
});
