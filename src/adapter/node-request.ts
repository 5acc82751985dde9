/**
 * Requests of Node, as transports see them.
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { ExchangeCarrier } from "../session/request.ts";
import type { RequestView } from "../transport/transport.ts";
import { certificateOf } from "./tls-certificate.ts";

/** A request of `node:http`, `node:https` or `node:http2`. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;

/** What frameworks keep of the request target beside Node. */
interface TargetHolder {
  originalUrl?: string;
}

/** What a framework makes of a request, where that is another object than Node's. */
export interface RequestFront extends TargetHolder {
  readonly secure: unknown;
  readonly request?: TargetHolder;
}

/** A request of Node, as transports see it. */
export class NodeRequestView implements RequestView {
  protected readonly req: NodeRequest & ExchangeCarrier & TargetHolder & { readonly secure?: unknown };
  /** The request target as it came, once tokens were taken out of it. */
  #target: string | undefined;

  constructor(req: NodeRequest) {
    this.req = req;
  }

  /** Set by an adapter whose framework has an object of its own for requests. */
  front?: RequestFront;

  header(name: string): string | undefined {
    const { headers } = this.req;
    const value = headers[name] ?? (name === "host" ? headers[":authority"] : undefined);
    return Array.isArray(value) ? value.join(", ") : (value as string | undefined);
  }

  get method(): string {
    return this.req.method ?? "GET";
  }

  get url(): string {
    const { originalUrl } = this.front ?? this.req;
    return this.#target ?? originalUrl ?? this.req.url ?? "/";
  }

  get secure(): boolean {
    const { secure } = this.front ?? this.req;
    // Frameworks know better: they ask the proxies that the app trusts.
    return typeof secure === "boolean" ? secure : (this.req.socket as { encrypted?: boolean }).encrypted === true;
  }

  get peer(): string | undefined {
    return this.req.socket.remoteAddress;
  }

  get certificate(): string | undefined {
    return certificateOf(this.req.socket);
  }

  /** Whether the client went away. */
  aborted(): boolean {
    return this.req.socket.destroyed;
  }

  /** Whether the protocol is HTTP/2. */
  get http2(): boolean {
    return this.req.httpVersionMajor >= 2;
  }

  /** The parameters of the request target, where the framework has parsed them already. */
  protected get query(): unknown {
    return (this.req as { query?: unknown }).query;
  }

  /** Takes the tokens out of every place where a handler may look for the request target. */
  stripped(strip: (target: string) => string): void {
    const target = (this.#target = this.url);
    const { front } = this;
    for (const holder of [this.req, front, front?.request]) {
      if (typeof holder?.originalUrl === "string") holder.originalUrl = strip(holder.originalUrl);
    }
    if (this.req.url !== undefined) this.req.url = strip(this.req.url);
    removeParameters(this.query, target, strip(target));
  }
}

/** What was parsed of a target before tokens were taken out of it goes too. */
function removeParameters(query: unknown, before: string, after: string): void {
  if (typeof query !== "object" || query === null) return;
  const has = parametersOf(after);
  for (const name of parametersOf(before).keys()) if (!has.has(name)) Reflect.deleteProperty(query, name);
}

function parametersOf(target: string): URLSearchParams {
  const at = target.indexOf("?");
  return new URLSearchParams(at === -1 ? "" : target.slice(at));
}
