/**
 * The process of one subject without a network: `library-process.ts <subject> <folder>`. Its parent says for how long which
 * route is to be asked for, and is told what a request took.
 *
 * @module
 */
import { createServer } from "node:http";
import { ANSWERS, DATA_BYTES, type Path, type Route } from "./data.ts";
import { listenerOf } from "./listener.ts";
import { siteOf } from "./site.ts";
import { COLD, subjectOf, USUAL } from "./subjects.ts";
import { wireTo } from "./wire.ts";

/** What is to be done. */
export interface Order {
  readonly route: Route;
  /** For how long at least, in milliseconds of CPU time. */
  readonly ms: number;
}

const AT_ONCE = 50;

const [name = "", folder = ""] = process.argv.slice(2);
const subject = subjectOf(name);
const sessions = subject.cold ? COLD : USUAL;
const listener = await listenerOf(subject, siteOf({ folder, urls: {}, bytes: DATA_BYTES, sessions }));
const wire = wireTo(createServer(listener));

const visitors: string[] = [];
for (let made = 0; made < sessions && subject.kind !== "bare"; made++) visitors.push(await begun());
let next = 0;

process.on("message", ({ route, ms }: Order) => void measured(route, ms).then((micros) => process.send?.(micros)));
process.on("disconnect", () => process.exit());
process.send?.("ready");

/** Microseconds of CPU time of a request. */
async function measured(route: Route, ms: number): Promise<number> {
  const begin = process.cpuUsage();
  for (let requests = AT_ONCE; ; requests += AT_ONCE) {
    for (let at = 0; at < AT_ONCE; at++) await once(route);
    const { user, system } = process.cpuUsage(begin);
    if (user + system >= ms * 1000) return (user + system) / requests;
  }
}

async function once(route: Route): Promise<void> {
  const cookies = route === "sign-in" ? "" : (visitors[next++ % visitors.length] ?? "");
  const { body } = await wire.ask(route, cookies);
  checked(route, body);
}

async function begun(): Promise<string> {
  const { head, body } = await wire.ask("seed", "");
  checked("seed", body);
  const cookies = [...head.matchAll(/\r\nset-cookie: ([^=]+)=([^;\r]*)/gi)];
  return [...new Map(cookies.map(([, key, value]) => [key, `${key}=${value}`])).values()].join("; ");
}

/** The framework alone answers as if it had sessions. */
function checked(path: Path, body: string): void {
  const expected = ANSWERS[path];
  const text = body.includes("\r\n") ? (body.split("\r\n")[1] ?? "") : body;
  if (expected === "digits" ? !/^\d+$/.test(text) : text !== expected)
    throw new Error(`${name}: /${path} said ${body}`);
}
