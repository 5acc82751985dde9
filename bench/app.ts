/**
 * The Express app of a subject. All have the same routes and answer the same.
 *
 * @module
 */
import express, { type Express, type RequestHandler } from "express";

/** How a subject deals with a session, written as its users would. */
export interface Handlers {
  /** What is installed for the whole app. */
  readonly middleware?: RequestHandler;
  /** Puts the data of a new session into it. */
  readonly seed: RequestHandler;
  /** Answers the user's name in it. */
  readonly read: RequestHandler;
  /** Adds one to its counter, and answers what that is then. */
  readonly write: RequestHandler;
  /** Answers the counter. Not measured. */
  readonly count: RequestHandler;
}

/** The app. */
export function benchApp({ middleware, seed, read, write, count }: Handlers): Express {
  const app = express();
  app.disable("x-powered-by");
  if (middleware !== undefined) app.use(middleware);
  app.get("/untouched", (_req, res) => void res.end("untouched"));
  app.get("/read", read);
  app.get("/write", write);
  app.get("/seed", seed);
  app.get("/count", count);
  return app;
}
