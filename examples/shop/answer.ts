import type { Request, Response } from "express";
import { document, type Page } from "./pages/layout.ts";
import { wantsJson } from "./request.ts";
import { stylesheet } from "./stylesheet.ts";

/** An answer for people and one for programs. Only the one that is asked for is made. */
export interface Answer {
  readonly status?: number;
  readonly json: () => object;
  readonly page: () => Page;
}

export function answer(req: Request, res: Response, { status = 200, json, page }: Answer): void {
  res.status(status).vary("Accept");
  if (wantsJson(req)) res.json(json());
  else res.type("html").send(document(page(), { worker: process.pid, stylesheet: stylesheet.path }));
}
