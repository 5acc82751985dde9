/**
 * The Express app of a subject. All have the same routes and answer the same.
 *
 * @module
 */
import express, { type Express, type Request, type RequestHandler, type Response } from "express";
import { newData, type BenchData } from "./data.ts";

/** How a subject deals with a session. */
export interface SessionUse {
  /** What is installed for the whole app. */
  readonly middleware?: RequestHandler | undefined;
  /** Puts new data into the session. */
  seed(req: Request, res: Response, data: BenchData): unknown;
  /** The data of the session. */
  read(req: Request, res: Response): Pick<BenchData, "user" | "count"> | Promise<Pick<BenchData, "user" | "count">>;
  /** Adds one to the counter, and returns what it is then. */
  write(req: Request, res: Response): number | Promise<number>;
}

/** The handlers of the measured routes: subjects that answer at once get handlers without `async`, as their users write. */
export type Handlers = Readonly<Record<"read" | "write", RequestHandler>>;

/** An Express app on which a subject is installed. `handlers` are those of {@link plainHandlers} or of the subject. */
export function benchApp(use: SessionUse, handlers: Handlers): Express {
  const app = express();
  app.disable("x-powered-by");
  if (use.middleware !== undefined) app.use(use.middleware);
  app.get("/untouched", (_req, res) => void res.end("untouched"));
  app.get("/read", handlers.read);
  app.get("/write", handlers.write);
  app.get("/seed", (req, res, next) => {
    const seeded = async (): Promise<unknown> => res.end(await use.seed(req, res, newData()));
    seeded().catch(next);
  });
  app.get("/count", (req, res, next) => {
    const counted = async (): Promise<unknown> => res.end(String((await use.read(req, res)).count));
    counted().catch(next);
  });
  return app;
}
