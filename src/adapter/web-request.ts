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

  constructor(request: Request) {
    this.#request = request;
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

  /** Whether the client went away. */
  aborted(): boolean {
    return this.#request.signal?.aborted === true;
  }
}

/** Applies header edits. Throws a `TypeError` when these headers cannot be changed. */
export function applyToHeaders(edits: readonly HeaderEdit[], headers: Headers): void {
  applyEdits(edits, {
    get: (name) => headers.get(name) ?? undefined,
    set: (name, value) => headers.set(name, value),
    append: (name, value) => headers.append(name, value),
  });
}
