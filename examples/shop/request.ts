import type { NextFunction, Request, Response } from "express";

/** A request that cannot be granted, in words for whoever sent it. */
export class Problem extends Error {
  readonly status: number;
  /** For programs. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "Problem";
    this.status = status;
    this.code = code;
  }
}

/** Whether the answer is to be JSON: it is when that is preferred, or when JSON was sent and anything is accepted. */
export function wantsJson(req: Request): boolean {
  const preferred = req.is("json") ? ["json", "html"] : ["html", "json"];
  return req.accepts(preferred) === "json";
}

/** A field of a form or of a JSON object; undefined unless it is a text or a number. */
export function field(req: Request, name: string): string | undefined {
  const body: unknown = req.body;
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, name)) return undefined;
  const value: unknown = (body as Record<string, unknown>)[name];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/**
 * Refuses to change anything for a page of another site. Browsers say where a request comes from; what says nothing is not
 * a browser, and carries no visitor's cookies. `SameSite=Lax` on the cookie is the other half.
 */
export function refuseForeignForms(req: Request, _res: Response, next: NextFunction): void {
  const site = req.get("Sec-Fetch-Site");
  const origin = req.get("Origin");
  const safe = req.method === "GET" || req.method === "HEAD";
  const own = site === undefined ? origin === undefined || hostOf(origin) === req.get("Host") : site === "same-origin";
  if (safe || own) next();
  else next(new Problem(403, "foreign_form", "This form was sent from another site, so nothing was changed."));
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
