import { resolve } from "node:path";

/** What the shop is told by its environment. */
export interface Settings {
  /** `PORT`, default 3000; 0 takes any free one. */
  readonly port: number;
  /** `DATA_DIR`, default `.data`: where the sessions are. */
  readonly dataDir: string;
  /** `STORE`, such as `redis://localhost:6379`: a store that servers of many machines share, instead of `DATA_DIR`. */
  readonly redisUrl: string | undefined;
  /** `PLAIN_HTTP=1`: the whole site is plain http, also behind a proxy, and its cookies go without `Secure`. */
  readonly plainHttp: boolean;
  /** `FRAMED_BY`: the one origin whose pages may show the shop in a frame. Default: none. */
  readonly framedBy: string | undefined;
  /** `SERVER_NAME`: who says to have answered. Default: the worker and its process id. */
  readonly serverName: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws Error with a sentence for whoever started the shop */
export function settingsOf(env: Environment): Settings {
  const port = env["PORT"] || "3000";
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Error(`PORT has to be a number from 0 to 65535, and it is ${JSON.stringify(port)}.`);
  }
  return {
    port: Number(port),
    dataDir: resolve(env["DATA_DIR"] || ".data"),
    redisUrl: redisUrlOf(env),
    plainHttp: env["PLAIN_HTTP"] === "1",
    framedBy: originOf(env),
    serverName: env["SERVER_NAME"] || `worker ${process.pid}`,
  };
}

function redisUrlOf(env: Environment): string | undefined {
  const url = env["STORE"] || undefined;
  if (url === undefined || (/^rediss?:\/\//.test(url) && URL.canParse(url))) return url;
  // Not the value: a password may be in it.
  throw new Error("STORE has to begin with redis:// or rediss://. Without it, the sessions are in DATA_DIR.");
}

function originOf(env: Environment): string | undefined {
  const origin = env["FRAMED_BY"] || undefined;
  // It becomes a part of a header.
  if (origin === undefined || (URL.canParse(origin) && new URL(origin).origin === origin)) return origin;
  throw new Error(`FRAMED_BY has to be an origin such as http://localhost:4000, and it is ${JSON.stringify(origin)}.`);
}

/** Why the shop cannot open, in a sentence for whoever started it. */
export function whyNot(error: unknown, settings: Settings | undefined): string {
  if (settings === undefined) return messageOf(error);
  const { port, dataDir, redisUrl } = settings;
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code === "EADDRINUSE") return `Port ${port} is in use. Choose another: PORT=${port + 1} npm start`;
  if (code === "EACCES" && isPrivileged(port))
    return `Port ${port} is for administrators. Choose another: PORT=3000 npm start`;
  const place = redisUrl === undefined ? `its data in ${dataDir}` : `the Redis at ${new URL(redisUrl).host}`;
  return `The shop cannot open with ${place}: ${messageOf(error)}`;
}

function isPrivileged(port: number): boolean {
  return port > 0 && port < 1024;
}

/** What a store threw is the cause of the `StoreError` that says so. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
