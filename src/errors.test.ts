import { expect, test } from "vitest";
import { ConflictError, SessionError, SessionTooLargeError, StoreError } from "./errors.ts";

test.each<[error: SessionError, status: number, text: string]>([
  [new SessionError("ERR_SESSION_INSECURE", "secret words", { status: 400 }), 400, "Bad Request\n"],
  [new SessionError("ERR_SESSION_HEADERS_SENT", "secret words", { status: 403 }), 403, "Forbidden\n"],
  [new ConflictError("rejected"), 409, "Conflict\n"],
  [new SessionTooLargeError(5000, 4096, "secret words"), 413, "Content Too Large\n"],
  [new SessionError("ERR_SESSION_INVALID_DATA", "secret words", { status: 422 }), 422, "Unprocessable Content\n"],
  [new SessionError("ERR_SESSION_HEADERS_SENT", "secret words"), 500, "Internal Server Error\n"],
  [new StoreError("read", { cause: new Error("secret words") }), 503, "Service Unavailable\n"],
])("getResponse() of %s: its status, in words, and nothing of what went wrong", async (error, status, text) => {
  const response = error.getResponse();
  expect([response.status, await response.text()]).toEqual([status, text]);
  expect(Object.fromEntries(response.headers)).toEqual({
    "cache-control": "no-store",
    "content-type": "text/plain; charset=utf-8",
  });
});
