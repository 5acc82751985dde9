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
import { benchApp } from "./app.ts";
import { ask, seeded } from "./client.ts";
import type { Route } from "./data.ts";
import { ours } from "./ours.ts";
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

/** One request for each route. */
export async function trafficOf(subject: Subject, routes: readonly Route[], folder: string): Promise<Traffic[]> {
  const own = join(folder, `${subject.name}-traffic`);
  mkdirSync(own);
  let storeCalls = 0;
  const handlers = await ours(subject.name, { folder: own, wrap: (store) => counted(store, () => storeCalls++) });
  if (handlers === undefined) return [];
  const server = createServer(benchApp(handlers)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const target = { subject: { ...subject, sessions: 1 }, port: (server.address() as AddressInfo).port };
  const [cookie] = await seeded(target);
  const traffic: Traffic[] = [];
  for (const route of routes) {
    storeCalls = 0;
    const { cookies } = await ask(target, `/${route}`, cookie);
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
