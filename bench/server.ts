/**
 * The process of one subject: `server.ts <subject> <site as JSON>`. Its parent asks it what it has used, and ends it by letting
 * go.
 *
 * @module
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { listenerOf } from "./listener.ts";
import { siteOf, type SiteText } from "./site.ts";
import { subjectOf } from "./subjects.ts";

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

const [name = "", site = ""] = process.argv.slice(2);
const listener = await listenerOf(subjectOf(name), siteOf(JSON.parse(site) as SiteText));

let [requests, writes] = [0, 0];
const server = createServer((req, res) => {
  requests++;
  if (req.url === "/write") writes++;
  listener(req, res);
});

process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpu: user + system, requests, writes } satisfies Usage);
});
process.on("disconnect", () => process.exit());
server.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port } satisfies Ready);
});
