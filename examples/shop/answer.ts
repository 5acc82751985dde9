import type { Request, Response } from "express";
import { document, type House, type Page } from "./pages/layout.ts";
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
  if (wantsJson(req)) return void res.json(json());
  const house = req.app.get("house") as House;
  res.type("html").send(document(page(), { ...house, stylesheet: stylesheet.path }));
}
