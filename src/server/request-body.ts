/**
 * The JSON of a request's body.
 *
 * @module
 */
import { isUtf8 } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Refusal } from "./endpoint.ts";
import type { RequestHead } from "./request-head.ts";

/** Whether a request comes with a body. */
export function hasBody({ contentLength, chunked }: RequestHead): boolean {
  return chunked || (contentLength !== undefined && contentLength > 0);
}

/**
 * Reads the body of a request as JSON; undefined when it has none. Rejects with a {@link Refusal}: see `EndpointCall.body`.
 *
 * @param limit In bytes. A body that says that it is longer is not read.
 */
export async function readJson(
  req: IncomingMessage,
  res: ServerResponse,
  head: RequestHead,
  limit: number,
): Promise<unknown> {
  if (!hasBody(head)) return undefined;
  if (!isJson(head.contentType) || (head.contentEncoding ?? "identity") !== "identity") {
    throw new Refusal(
      415,
      "not-json-type",
      "Send JSON, with Content-Type: application/json and without a Content-Encoding.",
    );
  }
  if ((head.contentLength ?? 0) > limit) throw tooLarge(limit);
  if (head.chunked || req.headers.expect !== undefined) askForMore(req, res);
  const bytes = await collected(req, limit);
  // Others would put replacement characters in their place, and two texts would become one.
  if (!isUtf8(bytes)) throw notJson();
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    throw notJson();
  }
}

/** A client with `Expect: 100-continue` waits to be asked for the body. */
function askForMore(req: IncomingMessage, res: ServerResponse): void {
  if (req.headers.expect?.toLowerCase() === "100-continue") res.writeContinue();
}

function isJson(type: string | undefined): boolean {
  if (type === "application/json") return true;
  return type !== undefined && /^application\/json[ \t]*(?:;|$)/i.test(type);
}

function collected(req: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined;
    let others: Buffer[] | undefined;
    let length = 0;
    req.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > limit) {
        reject(tooLarge(limit));
        first = others = undefined;
      } else if (first === undefined) first = chunk;
      else (others ??= [first]).push(chunk);
    });
    req.on("end", () => resolve(others === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(others, length)));
    // Nobody is there to hear of it, but whoever waits for the body must go on.
    req.on("close", () => {
      if (!req.complete) reject(new Refusal(408, "too-slow", "The body did not come to its end."));
    });
  });
}

function tooLarge(limit: number): Refusal {
  return new Refusal(413, "too-large", `A body may have ${limit} bytes.`);
}

function notJson(): Refusal {
  return new Refusal(400, "not-json", "The body is not JSON in UTF-8.");
}
