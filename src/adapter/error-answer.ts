/**
 * What a client is told of an error.
 *
 * @module
 */
import { isSessionError, plainAnswer, type PlainAnswer } from "../errors.ts";

/** The answer to an error: its status if it is one of ours, 500 otherwise, and not a word of what it says. */
export function errorAnswer(error: unknown): PlainAnswer {
  return plainAnswer(isSessionError(error) ? error.status : 500);
}
