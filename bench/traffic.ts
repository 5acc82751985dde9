/**
 * What one request of ours costs beside time: calls to the store, and cookies. Counted in this process, not in the servers
 * that are measured.
 *
 * @module
 */
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { SessionStore } from "coatcheck";
import { ask, seeded } from "./client.ts";
import type { Route } from "./data.ts";
import { listenerOf } from "./listener.ts";
import { siteOf, type SiteText } from "./site.ts";
import { fileNameOf } from "./server-process.ts";
import type { Subject } from "./subjects.ts";

/** What one request caused. */
export interface Traffic {
  readonly subject: string;
  readonly label: string;
  readonly route: Route;
  readonly storeCalls: number;
  readonly setCookies: number;
}

const VERBS: ReadonlySet<string | symbol> = new Set(["create", "read", "update", "touch", "delete"]);

/** Whether a subject is counted: ours on Express, with what needs no other process. */
export function hasTraffic({ ours, host, cold, needs }: Subject): boolean {
  return ours && host === "express" && !cold && needs === undefined;
}

/** One request for each route. */
export async function trafficOf(subject: Subject, routes: readonly Route[], site: SiteText): Promise<Traffic[]> {
  const folder = join(site.folder, `${fileNameOf(subject)}-traffic`);
  mkdirSync(folder);
  let storeCalls = 0;
  const wrap = (store: SessionStore): SessionStore => counted(store, () => storeCalls++);
  const server = createServer(await listenerOf(subject, { ...siteOf(site), folder, wrap })).listen(0, "127.0.0.1");
  await once(server, "listening");
  const target = { subject, port: (server.address() as AddressInfo).port };
  const [cookie] = await seeded(target, 1);
  const traffic: Traffic[] = [];
  for (const route of routes) {
    storeCalls = 0;
    const { cookies } = await ask(target, route, route === "sign-in" ? "" : cookie);
    traffic.push({ subject: subject.name, label: subject.label, route, storeCalls, setCookies: cookies.length });
  }
  server.closeAllConnections();
  server.close();
  return traffic;
}

/** A store that tells of every verb. */
function counted(store: SessionStore, tell: () => void): SessionStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (!VERBS.has(name) || typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        tell();
        return Reflect.apply(value, target, args);
      };
    },
  });
}
