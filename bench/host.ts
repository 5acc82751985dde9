/**
 * What a framework is told: how a subject deals with a session, written as its users would.
 *
 * @module
 */
import type { RequestListener } from "node:http";
import { ANSWERS, type Path } from "./data.ts";

/** Answers a text, at once where the library answers at once. */
export type Handler<Request, Response> = (request: Request, response: Response) => string | Promise<string>;

/** The routes of a subject. What they answer says `ANSWERS`. */
export interface Handlers<Request, Response> {
  /** Puts the data of a new session into it. */
  readonly seed: Handler<Request, Response>;
  /** Puts the data into the session of a visitor who has just said who they are; under a new id, where there are ids. */
  readonly signIn: Handler<Request, Response>;
  /** Answers the user's name in it. */
  readonly read: Handler<Request, Response>;
  /** Adds one to its counter, and answers what that is then. */
  readonly write: Handler<Request, Response>;
  /** Answers the counter. Not measured. */
  readonly count: Handler<Request, Response>;
}

/** A subject on a framework. */
export interface Hosted<App, Request, Response> {
  readonly handlers: Handlers<Request, Response>;
  /** What is installed for the whole app, before its routes. */
  readonly install?: (app: App) => unknown;
}

/** Makes what `node:http` calls for each request. */
export type Listener = RequestListener;

/** The handler of every path, for a framework to put on its routes. */
export function handlerOf<Request, Response>(
  { seed, signIn, read, write, count }: Handlers<Request, Response>,
  path: Path,
): Handler<Request, Response> {
  const untouched = (): string => ANSWERS.untouched;
  return { untouched, read, write, "sign-in": signIn, seed, count }[path];
}
