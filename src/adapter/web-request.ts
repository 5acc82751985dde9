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

/** The same request for another URL: a copy, or where that cannot be made (its body was read, say) a mask. */
function withUrl(request: Request, url: string): Request {
  try {
    if (request.bodyUsed) return masked(request, url);
    // What Node's types do not know: a body that is read while the answer is written.
    const init: RequestInit & { duplex?: "half" } = request.body === null ? {} : { body: request.body, duplex: "half" };
    const { method, headers, signal, redirect } = request;
    return new Request(url, { ...init, method, headers, signal, redirect });
  } catch {
    return masked(request, url);
  }
}

function masked(request: Request, url: string): Request {
  return new Proxy(request, {
    get(target, key) {
      if (key === "url") return url;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Applies header edits. Throws a `TypeError` when these headers cannot be changed. */
export function applyToHeaders(edits: readonly HeaderEdit[], headers: Headers): void {
  applyEdits(edits, {
    get: (name) => headers.get(name) ?? undefined,
    set: (name, value) => headers.set(name, value),
    append: (name, value) => headers.append(name, value),
  });
}
