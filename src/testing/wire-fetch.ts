/**
 * `fetch` for tests over real sockets, by `node:http`, `node:https` and `node:http2`: unlike the global one it adds no
 * headers of its own, takes self-signed certificates, speaks HTTP/2 and tells of trailers.
 *
 * @module
 */
import type { IncomingHttpHeaders } from "node:http";
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";

/** A response, and its trailers once its body was read. */
export type WireResponse = Response & { trailers(): Readonly<Record<string, unknown>> };

/** Sends a request without a body, over HTTP/1.1 or HTTP/2. */
export function wireFetch(
  request: Request,
  { http2 = false }: { http2?: boolean | undefined } = {},
): Promise<WireResponse> {
  return http2 ? overHttp2(request) : overHttp1(request);
}

function overHttp1({ url, method, headers, signal }: Request): Promise<WireResponse> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith("https:") ? httpsRequest : httpRequest;
    const options = { method, headers: Object.fromEntries(headers), signal, agent: false, rejectUnauthorized: false };
    const outgoing = send(url, options, (incoming) => {
      const { statusCode = 0, statusMessage = "" } = incoming;
      const lines = pairs(incoming.headers);
      resolve(
        responseOf({ method, status: statusCode, statusText: statusMessage, lines }, incoming, () => incoming.trailers),
      );
    });
    outgoing.on("error", reject).end();
  });
}

function overHttp2({ url, method, headers, signal }: Request): Promise<WireResponse> {
  return new Promise((resolve, reject) => {
    const { origin, pathname, search } = new URL(url);
    const session = connect(origin, { rejectUnauthorized: false });
    const stream = session.request(
      { ":method": method, ":path": pathname + search, ...Object.fromEntries(headers) },
      { signal },
    );
    let trailers: Readonly<Record<string, unknown>> = {};
    session.on("error", reject);
    stream.on("error", reject).on("close", () => session.close());
    stream.on("trailers", (received) => (trailers = received));
    stream.on("response", ({ ":status": status = 0, ...rest }) => {
      resolve(responseOf({ method, status, statusText: "", lines: pairs(rest) }, stream, () => trailers));
    });
    stream.end();
  });
}

function pairs(headers: IncomingHttpHeaders): [name: string, value: string][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? ""]).map((line): [string, string] => [name, line]),
  );
}

interface Head {
  readonly method: string;
  readonly status: number;
  readonly statusText: string;
  readonly lines: [name: string, value: string][];
}

function responseOf(
  { method, status, statusText, lines }: Head,
  body: Readable,
  trailers: WireResponse["trailers"],
): WireResponse {
  const empty = method === "HEAD" || [204, 205, 304].includes(status);
  if (empty) body.resume();
  const stream = empty ? null : (Readable.toWeb(body) as unknown as ReadableStream<Uint8Array>);
  return Object.assign(new Response(stream, { status, statusText, headers: lines }), { trailers });
}
