import type { Request } from "express";

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
