import { readFileSync } from "node:fs";
import type { Express } from "express";

/** What the page asks for. */
export interface AssetPaths {
  readonly styles: readonly string[];
  readonly script: string;
}

const files: Readonly<Record<string, { readonly file: string; readonly type: "css" | "js" }>> = {
  // The shop's own: the control room belongs to it.
  "/shop.css": { file: "../../../shop/style.css", type: "css" },
  "/room.css": { file: "room.css", type: "css" },
  "/room.js": { file: "room.js", type: "js" },
  "/chart.js": { file: "chart.js", type: "js" },
};

export const assetPaths: AssetPaths = { styles: ["/shop.css", "/room.css"], script: "/room.js" };

export function serveAssets(app: Express): void {
  for (const [path, { file, type }] of Object.entries(files)) {
    const text = readFileSync(new URL(file, import.meta.url), "utf8");
    app.get(path, (_req, res) => void res.type(type).send(text));
  }
}
