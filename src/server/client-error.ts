/**
 * The answer to what is no HTTP request, or does not come to its end.
 *
 * @module
 */
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

/** What Node's parser says, and what it means. */
const KNOWN: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  HPE_HEADER_OVERFLOW: [431, "headers-too-large", "The headers of a request are too large."],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "too-slow", "The request did not come in time."],
};

/** The answer that Node has under way on a connection. */
interface WithAnswer {
  readonly _httpMessage?: { readonly headersSent: boolean; readonly req: { readonly complete: boolean } } | null;
}

/** Answers on a connection whose request could not be read, and closes it. */
export function answerClientError(error: unknown, socket: Duplex): void {
  const { code } = error as { readonly code?: unknown };
  const { _httpMessage: under } = socket as Duplex & WithAnswer;
  // Whoever waits for the answer to an earlier request must not take this one for it.
  const misleads = under?.headersSent === true || under?.req.complete === true;
  if (!socket.writable || code === "ECONNRESET" || misleads) return void socket.destroy();
  const [status, name, message] = KNOWN[String(code)] ?? [400, "bad-request", "That is not a request of HTTP/1.1."];
  const body = JSON.stringify({ error: name, message });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
