import { resolve } from "node:path";

/** What the shop is told by its environment. */
export interface Settings {
  /** `PORT`, default 3000; 0 takes any free one. */
  readonly port: number;
  /** `DATA_DIR`, default `.data`: where the sessions are. */
  readonly dataDir: string;
}

/** @throws Error with a sentence for whoever started the shop */
export function settingsOf(env: Readonly<Record<string, string | undefined>>): Settings {
  const port = env["PORT"] || "3000";
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Error(`PORT has to be a number from 0 to 65535, and it is ${JSON.stringify(port)}.`);
  }
  return { port: Number(port), dataDir: resolve(env["DATA_DIR"] || ".data") };
}

/** Why the shop cannot open, in a sentence for whoever started it. */
export function whyNot(error: unknown, settings: Settings | undefined): string {
  if (settings === undefined) return messageOf(error);
  const { port, dataDir } = settings;
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code === "EADDRINUSE") return `Port ${port} is in use. Choose another: PORT=${port + 1} npm start`;
  if (code === "EACCES" && isPrivileged(port))
    return `Port ${port} is for administrators. Choose another: PORT=3000 npm start`;
  return `The shop cannot open with its data in ${dataDir}: ${messageOf(error)}`;
}

function isPrivileged(port: number): boolean {
  return port > 0 && port < 1024;
}

/** What a store threw is the cause of the `StoreError` that says so. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
