/**
 * The process of one subject: `server.ts <subject> <folder>`. Its parent asks it what it has used, and ends it by letting go.
 *
 * @module
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { benchApp } from "./app.ts";
import { ours } from "./ours.ts";
import { peer } from "./peers.ts";

/** What a server says once it listens. */
export interface Ready {
  readonly port: number;
}

/** What a server has used since it started. */
export interface Usage {
  /** CPU time of the whole process, user and system, in microseconds. */
  readonly cpu: number;
  /** How many requests came. */
  readonly requests: number;
  /** How many of them to write. */
  readonly writes: number;
}

const [name = "", folder = ""] = process.argv.slice(2);
const handlers = peer(name) ?? (await ours(name, { folder }));
if (handlers === undefined) throw new Error(`no subject ${name}`);

const app = benchApp(handlers);
let [requests, writes] = [0, 0];
const server = createServer((req, res) => {
  requests++;
  if (req.url === "/write") writes++;
  app(req, res);
});

process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpu: user + system, requests, writes } satisfies Usage);
});
process.on("disconnect", () => process.exit());
server.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port } satisfies Ready);
});
