/**
 * What a client is told of an error.
 *
 * @module
 */
import { isSessionError } from "../errors.ts";

/** The parts of a response. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const TEXTS: Readonly<Record<number, string>> = {
  400: "Bad Request",
  409: "Conflict",
  413: "Content Too Large",
  422: "Unprocessable Content",
  503: "Service Unavailable",
};

/** The answer to an error: its status if it is one of ours, 500 otherwise, and not a word of what it says. */
export function errorAnswer(error: unknown): ErrorAnswer {
  const status = isSessionError(error) ? error.status : 500;
  return {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" },
    body: `${TEXTS[status] ?? "Internal Server Error"}\n`,
  };
}
