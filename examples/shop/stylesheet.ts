import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Request, Response } from "express";

/** The style sheet. Its address changes with its content, so that browsers may keep it for good. */
export interface Stylesheet {
  readonly path: string;
  readonly text: string;
}

export const stylesheet: Stylesheet = read(new URL("style.css", import.meta.url));

function read(file: URL): Stylesheet {
  const text = readFileSync(file, "utf8");
  return { path: `/style-${createHash("sha256").update(text).digest("base64url").slice(0, 12)}.css`, text };
}

export function serveStylesheet(_req: Request, res: Response): void {
  res.set("Cache-Control", "public, max-age=31536000, immutable").type("css").send(stylesheet.text);
}
