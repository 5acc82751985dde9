import express, { type Express, type NextFunction, type Request, type Response } from "express";
import { isSessionError } from "coatcheck";
import { csrf } from "coatcheck/csrf";
import { sessions } from "coatcheck/express";
import { accountRoutes } from "./account-routes.ts";
import { answer } from "./answer.ts";
import { cartRoutes } from "./cart-routes.ts";
import { errorPage } from "./pages/error-page.ts";
import { Problem } from "./request.ts";
import type { ShopSessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import { serveStylesheet, stylesheet } from "./stylesheet.ts";

/** What the shop shows of its settings. */
export type ShopOptions = Pick<Settings, "serverName" | "redisUrl" | "framedBy">;

const ALONE: ShopOptions = { serverName: `worker ${process.pid}`, redisUrl: undefined, framedBy: undefined };

/** The shop as an Express app. Everything it remembers of a visitor is in `user`. */
export function shop(user: ShopSessions, { serverName, redisUrl, framedBy }: ShopOptions = ALONE): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("house", { server: serverName, store: redisUrl === undefined ? "one SQLite file" : "one Redis" });
  app.use(secureHeaders(framedBy));

  app.get("/healthz", (_req, res) => void res.type("text").send("ok"));
  app.get(stylesheet.path, serveStylesheet);

  app.use(sessions(user));
  // What says nothing of where it comes from is not a browser, and carries no visitor's cookies: curl may shop here.
  app.use(csrf({ session: user, nonBrowser: "allow" }));
  app.use(express.urlencoded({ extended: false, limit: "10kb" }), express.json({ limit: "10kb" }));
  app.use(cartRoutes(user), accountRoutes(user));

  app.use((req) => {
    throw new Problem(404, "not_found", `There is no page ${req.path} here.`);
  });
  app.use(answerError);
  return app;
}

function secureHeaders(framedBy: string = "'none'"): (req: Request, res: Response, next: NextFunction) => void {
  const headers = {
    "Cache-Control": "no-store",
    "Content-Security-Policy":
      "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; " +
      `frame-ancestors ${framedBy}`,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Worker": String(process.pid),
  };
  return (_req, res, next) => {
    res.set(headers);
    next();
  };
}

// Express tells an error handler by its four parameters.
function answerError(error: unknown, req: Request, res: Response, next: NextFunction): void {
  if (res.headersSent) return next(error);
  const { status, code, message } = described(error);
  if (status >= 500) console.error(`${req.method} ${req.path}:`, error);
  answer(req, res, { status, json: () => ({ error: code, message }), page: () => errorPage(status, message) });
}

/** What may be said of an error. Those of coatcheck hold nothing secret; of others only the kind is told. */
function described(error: unknown): { readonly status: number; readonly code: string; readonly message: string } {
  if (error instanceof Problem) return error;
  if (isSessionError(error)) return { status: error.status, code: error.code, message: wordsFor(error) };
  const status = error instanceof Error && "status" in error ? Number(error.status) : 500;
  if (status === 413) return { status, code: "too_large", message: "The form is larger than any form of this shop." };
  if (status >= 400 && status < 500) return { status, code: "bad_request", message: "The request could not be read." };
  return { status: 500, code: "internal", message: "That is our fault, and it is in our log. Please try again." };
}

function wordsFor({ status, message }: { status: number; message: string }): string {
  if (status === 503)
    return "Your session could not be looked up just now. Nothing is lost: please try again in a moment.";
  if (status === 403) return "This form was sent from another site, so nothing was changed.";
  if (status === 409) return "Too many changes came at the same time, and this one was not made. Please try again.";
  return message;
}
