/**
 * Whether what a server really answers is what its OpenAPI document says: every answer is found in the document, and its status,
 * headers and body are checked against it.
 */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";

type Json = Readonly<Record<string, unknown>>;

/** A request and its answer. */
export interface Exchanged {
  readonly method: string;
  /** The request target. */
  readonly path: string;
  /** The JSON of the request's body, if it had one. */
  readonly sent?: unknown;
  readonly status: number;
  readonly headers: Headers;
  /** The text of the body; empty when there is none. */
  readonly text: string;
}

/** Checks answers. */
export interface Conformance {
  /** What is wrong with an answer; nothing when it is as the document says. */
  complaints(exchanged: Exchanged): readonly string[];
  /** Which answers have been seen, as `operationId status`. */
  readonly seen: ReadonlySet<string>;
  /** The ids of all operations. */
  readonly operations: readonly string[];
}

/** Answers to what is no operation: errors all the same. */
const NO_OPERATION = new Set([400, 401, 404, 405, 431]);

/** Checks by this document. */
export function conformance(document: object): Conformance {
  const ajv = new Ajv2020({ strict: false, formats: { int64: true }, allErrors: true });
  ajv.addSchema(document, "document");
  const compiled = new Map<string, ValidateFunction>();
  const seen = new Set<string>();
  const at = (pointer: string): Json => resolved(pointer.slice(2).split("/"), document as Json);
  const follow = (part: Json): Json => (typeof part["$ref"] === "string" ? at(part["$ref"]) : part);
  const wrong = (schema: Json, value: unknown, what: string): readonly string[] => {
    const absolute = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/');
    const validate = compiled.get(absolute) ?? ajv.compile(JSON.parse(absolute) as Json);
    compiled.set(absolute, validate);
    return validate(value) ? [] : [`${what}: ${ajv.errorsText(validate.errors)}`];
  };
  const paths = Object.entries((document as { readonly paths: Json }).paths) as [string, Json][];

  function complaints({ method, path, sent, status, headers, text }: Exchanged): readonly string[] {
    const pathname = path.replace(/\?.*/, "");
    const [, item] = paths.find(([template]) => matches(template, pathname)) ?? [];
    const operation = item?.[(method === "HEAD" ? "get" : method).toLowerCase()] as Json | undefined;
    const body = isJson(headers) && text !== "" ? (JSON.parse(text) as unknown) : undefined;
    if (operation === undefined) {
      const isKnown = NO_OPERATION.has(status);
      return isKnown ? wrong({ $ref: "#/components/schemas/Error" }, body, path) : [`${method} ${path}: ${status}`];
    }
    const responses = operation["responses"] as Readonly<Record<string, Json>>;
    const documented = responses[status] ?? responses["default"];
    if (documented === undefined) return [`${method} ${path}: ${status} is not in the document`];
    seen.add(`${String(operation["operationId"])} ${status}`);
    const { headers: expected = {}, content } = follow(documented) as {
      headers?: Readonly<Record<string, Json>>;
      content?: Json;
    };
    const request = follow((operation["requestBody"] ?? {}) as Json)["content"] as Json | undefined;
    return [
      ...Object.entries(expected).flatMap(([name, part]) => headerComplaints(name, follow(part), headers)),
      ...unknownHeaders(expected, headers),
      ...bodyComplaints(content, body, text, method),
      ...(status < 300 && sent !== undefined && request !== undefined
        ? wrong((request["application/json"] as Json)["schema"] as Json, sent, "what was sent")
        : []),
    ].map((complaint) => `${method} ${path} ${status}: ${complaint}`);
  }

  function headerComplaints(name: string, part: Json, headers: Headers): readonly string[] {
    const value = headers.get(name);
    if (value === null) return part["required"] === true ? [`no ${name}`] : [];
    return wrong(part["schema"] as Json, value, name);
  }

  function bodyComplaints(content: Json | undefined, body: unknown, text: string, method: string): readonly string[] {
    if (content === undefined) return text === "" ? [] : ["a body where there should be none"];
    if (method === "HEAD") return text === "" ? [] : ["a body to HEAD"];
    const lines = content["application/x-ndjson"] as Json | undefined;
    if (lines !== undefined) {
      return text
        .split("\n")
        .filter((line) => line !== "")
        .flatMap((line) => wrong(lines["schema"] as Json, JSON.parse(line), "line"));
    }
    const json = content["application/json"] as Json | undefined;
    if (json === undefined) return text === "" ? ["no body"] : [];
    return body === undefined ? ["no JSON"] : wrong(json["schema"] as Json, body, "body");
  }

  const operations = paths.flatMap(([, item]) =>
    Object.values(item).flatMap((operation) => (operation as { operationId?: string }).operationId ?? []),
  );
  return { complaints, seen, operations };
}

/** What every answer of HTTP may have, and needs no mention. */
const USUAL = /^(?:connection|content-length|content-type|date|keep-alive|transfer-encoding|vary)$/;

function unknownHeaders(expected: object, headers: Headers): readonly string[] {
  const known = new Set(Object.keys(expected).map((name) => name.toLowerCase()));
  return [...headers.keys()].filter((name) => !known.has(name) && !USUAL.test(name)).map((name) => `${name} is new`);
}

function isJson(headers: Headers): boolean {
  return headers.get("content-type") === "application/json";
}

/** `current` is no id, though its template comes later or earlier. */
function matches(template: string, path: string): boolean {
  const [expected, given] = [template.split("/"), path.split("/")];
  return (
    expected.length === given.length &&
    expected.every((part, index) => (part.startsWith("{") ? given[index] !== "current" : part === given[index]))
  );
}

function resolved(pointer: readonly string[], document: Json): Json {
  return pointer.reduce<Json>((part, key) => part[key.replaceAll("~1", "/").replaceAll("~0", "~")] as Json, document);
}
