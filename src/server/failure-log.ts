/**
 * What a failing store says, for who runs the server: on stderr, not once a request, and without what is kept.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";

/** A call of a store, as far as it has to be kept out of a log: every text in it, at any depth. */
export interface LoggedCall {
  readonly verb: string;
  readonly args: readonly unknown[];
  readonly previousSubject?: string | undefined;
}

/** See {@link failureLog}. */
export interface FailureLog {
  /** The store of that name has failed in a call. */
  tell(call: LoggedCall, store: string, error: unknown): void;
}

/** Between two lines, in milliseconds. */
const PAUSE = 10_000;

/** Characters of a message. */
const LONGEST = 200;

/** Tells of the first failure, and ten seconds later at the earliest of the next one and how many there were between. */
export function failureLog(clock: Clock, log: (line: string) => void = toStderr): FailureLog {
  let next = -Infinity;
  let untold = 0;
  return {
    tell(call, store, error) {
      const now = clock.now();
      // A clock that was set back must not silence it for long.
      if (now < next && next - now <= PAUSE) return void untold++;
      const more = untold === 0 ? "" : `; ${untold} more since the last line`;
      log(`coatcheck: ${store} failed (${call.verb}): ${described(error, call)}${more}`);
      next = now + PAUSE;
      untold = 0;
    },
  };
}

function toStderr(line: string): void {
  console.error(line);
}

/** Drivers put values into quotes, and nobody knows what else they say: what the call held is taken out too. */
function described(error: unknown, call: LoggedCall): string {
  if (!(error instanceof Error)) return `a value of type ${typeof error} was thrown`;
  const code: unknown = "code" in error ? error.code : undefined;
  const known = typeof code === "string" || typeof code === "number" ? ` ${code}` : "";
  let message = error.message.split("\n", 1)[0] ?? "";
  for (const text of textsIn(call)) message = message.replaceAll(text, "…");
  message = message.replaceAll(/(["'`]).*?\1/g, "$1…$1").replaceAll(/\p{C}/gu, " ");
  return `${error.name}${known}: ${message.slice(0, LONGEST)}`;
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return value.length < 4 ? [] : [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => (name === "verb" ? [] : textsIn(part)));
}
