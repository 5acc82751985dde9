/**
 * Requests and headers of the web platform, as transports see them and their edits change them.
 *
 * @module
 */
import { applyEdits } from "../internal/header-edits.ts";
import type { HeaderEdit, RequestView } from "../transport/transport.ts";

/** A web request, as transports see it. */
export class WebRequestView implements RequestView {
  readonly #request: Request;
  /** The request without the tokens that its URL had; undefined when it had none. */
  #rest: Request | undefined;

  constructor(request: Request) {
    this.#request = request;
  }

  /** The request as handlers see it. */
  get rest(): Request {
    return this.#rest ?? this.#request;
  }

  stripped(strip: (target: string) => string): void {
    this.#rest = withUrl(this.rest, strip(this.rest.url));
  }

  header(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined;
  }

  get method(): string {
    return this.#request.method;
  }

  get url(): string {
    return this.#request.url;
  }

  get secure(): boolean {
    return this.#request.url.startsWith("https:");
  }

  /** The web platform does not tell. */
  get peer(): string | undefined {
    return undefined;
  }

  /** The web platform does not tell. */
  get certificate(): string | undefined {
    return undefined;
  }

  /** Whether the client went away. */
  aborted(): boolean {
    return this.#request.signal?.aborted === true;
  }
}

/** The same request for another URL. */
function withUrl({ method, headers, body, signal }: Request, url: string): Request {
  // What Node's types do not know: a body that is read while the answer is written.
  const init: RequestInit & { duplex?: "half" } = body === null ? {} : { body, duplex: "half" };
  return new Request(url, { ...init, method, headers, signal });
}

/** Applies header edits. Throws a `TypeError` when these headers cannot be changed. */
export function applyToHeaders(edits: readonly HeaderEdit[], headers: Headers): void {
  applyEdits(edits, {
    get: (name) => headers.get(name) ?? undefined,
    set: (name, value) => headers.set(name, value),
    append: (name, value) => headers.append(name, value),
  });
}
