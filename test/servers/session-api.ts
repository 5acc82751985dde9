/**
 * The JSON API on a port of its own, in the process of the test: with the store and the clock that the test has in hand.
 */
import { once } from "node:events";
import { createServer, request as send, type IncomingHttpHeaders, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { parseJson } from "../../src/internal/json.ts";
import { Refusal, send as answerWith, type Endpoint } from "../../src/server/endpoint.ts";
import { namespacedStore } from "../../src/server/namespaced-store.ts";
import { sessionsEndpoint, type SessionsOptions } from "../../src/server/sessions-endpoint.ts";
import type { SessionStore } from "../../src/index.ts";

/** What came back. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The JSON of the body; undefined without one. */
  readonly body: unknown;
}

/** A request of a client. */
export interface Question {
  readonly token?: string | undefined;
  readonly ifMatch?: string | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, for what is no JSON that a client should send. */
  readonly text?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A client of one server. */
export type Ask = (method: string, path: string, question?: Question) => Promise<Reply>;

/** A server, and clients of two applications that must not see each other. */
export interface SessionApi {
  readonly url: string;
  readonly ask: Ask;
  readonly other: Ask;
  close(): Promise<void>;
}

/** Serves `/v1/sessions` of a store to the namespaces `shop` and `bank`: each caller says which is its own. */
export async function sessionApi(store: SessionStore, options: SessionsOptions = {}): Promise<SessionApi> {
  const endpoint = sessionsEndpoint(options);
  const stores = new Map(["shop", "bank"].map((name) => [name, namespacedStore(store, name)]));
  const server = serving(endpoint, (namespace) => stores.get(namespace) as SessionStore);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    ask: clientOf(url, { "X-Namespace": "shop" }),
    other: clientOf(url, { "X-Namespace": "bank" }),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function serving(endpoint: Endpoint, storeOf: (namespace: string) => SessionStore): Server {
  return createServer(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? "/", "http://localhost");
    const namespace = String(req.headers["x-namespace"] ?? "shop");
    const path = pathname
      .split("/")
      .slice(3)
      .map((segment) => decodeURIComponent(segment));
    const body = async (): Promise<unknown> => {
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      try {
        return text === "" ? undefined : parseJson(text);
      } catch {
        throw new Refusal(400, "not-json", "The body is not JSON in UTF-8.");
      }
    };
    const caller = { application: namespace, namespace, store: storeOf(namespace) };
    const { signal } = new AbortController();
    try {
      const answer = await endpoint({ req, res, caller, path, query: searchParams, body, signal });
      if (answer !== undefined) answerWith(res, answer);
    } catch (error) {
      answerWith(res, { status: 500, body: { error: "internal", message: String(error) } });
    }
  });
}

/** A client that sends these headers with each request. */
export function clientOf(url: string, own: Readonly<Record<string, string>>): Ask {
  return async (
    method,
    path,
    { token, ifMatch, body, text = body === undefined ? undefined : JSON.stringify(body), headers = {} } = {},
  ) => {
    const request = send(url + path, {
      method,
      agent: false,
      headers: {
        ...own,
        ...(token !== undefined && { "Session-Token": token }),
        ...(ifMatch !== undefined && { "If-Match": ifMatch }),
        ...(text !== undefined && { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) }),
        ...headers,
      },
    });
    request.end(text);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const all = Buffer.concat(chunks).toString();
    const answered = all === "" ? undefined : (JSON.parse(all) as unknown);
    return { status: response.statusCode ?? 0, headers: response.headers, body: answered };
  };
}
