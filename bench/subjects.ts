/**
 * What is measured: libraries, each on a framework of its own, and ours on the same.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { lackOf, type Need } from "./needs.ts";
import { programOf } from "./programs.ts";
import type { Route } from "./data.ts";

/** Frameworks on Node, by what people call them. */
const NODE_HOSTS = { express: "Express", fastify: "Fastify", koa: "Koa", hono: "Hono", h3: "h3" } as const;
/** Those of other languages. */
const PROGRAM_HOSTS = {
  go: "Go net/http",
  tomcat: "Tomcat",
  flask: "Flask",
  django: "Django",
  php: "PHP",
} as const;
/** All of them. */
export const HOSTS: typeof NODE_HOSTS & typeof PROGRAM_HOSTS = { ...NODE_HOSTS, ...PROGRAM_HOSTS };

/** A framework on Node. */
export type NodeHost = keyof typeof NODE_HOSTS;
/** A framework whose servers are programs of another language. */
export type ProgramHost = keyof typeof PROGRAM_HOSTS;
/** A framework. */
export type Host = NodeHost | ProgramHost;

/** Whether a framework is one on Node. */
export function isOnNode(host: Host): host is NodeHost {
  return Object.hasOwn(NODE_HOSTS, host);
}

/** How long frameworks are warmed up, as a multiple of Node's time: one that compiles at run time and in many steps, and
 * those that have no compiler then. */
export const WARM_UPS: Readonly<Partial<Record<Host, number>>> = {
  tomcat: 4,
  go: 1 / 3,
  flask: 1 / 3,
  django: 1 / 3,
  php: 1 / 3,
};

/** What ours are called. */
const OURS = {
  memory: "by id, memory",
  sqlite: "by id, SQLite",
  directory: "by id, directory",
  redis: "by id, Redis",
  "near-redis": "by id, Redis, near cache",
  postgres: "by id, PostgreSQL",
  mysql: "by id, MariaDB",
  memcached: "by id, Memcached",
  nats: "by id, NATS",
  sealed: "sealed",
  signed: "signed",
  "drop-in": "express-session door, memory",
} as const;

/** What others are called. */
const PEERS = {
  "express-session": "express-session, memory",
  "connect-redis": "express-session, connect-redis",
  "get-by-hand": "one Redis GET by hand",
  "select-by-hand": "one PostgreSQL SELECT by hand",
  "mysql-by-hand": "one MariaDB SELECT by hand",
  "cookie-session": "cookie-session (signed)",
  "iron-session": "iron-session (sealed)",
  "better-auth": "better-auth, memory",
  "better-auth-cookie": "better-auth, cookie cache (signed)",
  "@fastify/session": "@fastify/session, memory",
  "@fastify/secure-session": "@fastify/secure-session (sealed)",
  "koa-session": "koa-session, memory",
  "hono-sessions": "hono-sessions, memory",
  "hono-sessions-plain": "hono-sessions, memory, no key",
  "@hono/session": "@hono/session (sealed)",
  "react-router": "React Router cookie sessions (signed)",
  h3: "useSession (sealed)",
  scs: "scs, memory",
  "gorilla-cookie": "gorilla/sessions (signed)",
  "gorilla-files": "gorilla/sessions, files",
  "http-session": "HttpSession, memory",
  "flask-session": "its session (signed)",
  "django-memory": "its sessions, memory",
  "django-cookie": "its sessions (signed)",
  "php-session": "its sessions, files",
} as const;

/** What a server of ours does. */
export type OurKind = keyof typeof OURS;
/** What a server does. `bare` is the framework alone, `control` is that and a known cost. */
export type Kind = OurKind | keyof typeof PEERS | "bare" | "control";

/** One kind of server. */
export interface Subject {
  /** `express/memory`: unique. */
  readonly name: string;
  readonly host: Host;
  readonly kind: Kind;
  readonly label: string;
  /** Whether it is this package. */
  readonly ours: boolean;
  /** By value, each write makes a new cookie, and each client has to be given it. */
  readonly byValue: boolean;
  /** Clients that never come again before what is remembered of them is forgotten, whatever the others do. */
  readonly cold: boolean;
  /** The server of the run in which the sessions are; undefined for none. */
  readonly needs: Need | undefined;
  /** Whether the short form has it. */
  readonly quick: boolean;
  /** The only routes that it is asked for. */
  readonly routes: readonly Route[] | undefined;
}

/** As many sessions as connections. If they all wrote to one session, conflicts would be measured. */
export const USUAL = 32;
/** Many more than are remembered of tokens. */
export const COLD = 10_000;
/** The known cost that shows what the method makes of costs, in microseconds. */
export const CONTROL_MICROS = 20;
/** The microseconds that our untouched route may cost (design §6). */
export const UNTOUCHED_TARGET = 0.5;
/** The largest sessions that are kept in cookies, in bytes of JSON. */
export const LARGEST_BY_VALUE = 1_024;

type More = Partial<Pick<Subject, "byValue" | "cold" | "needs" | "quick" | "routes">>;

const VALUE: More = { byValue: true };
const REDIS: More = { needs: "redis" };
const POSTGRES: More = { needs: "postgres" };
const MARIADB: More = { needs: "mariadb" };
const QUICK: More = { quick: true };
const COLD_READS: More = { byValue: true, cold: true, routes: ["read"] };

/** In the order in which they take their turns in each round. */
export const SUBJECTS: readonly Subject[] = [
  alone("express"),
  subject("express", "control", `busy for ${CONTROL_MICROS} µs`, { routes: ["read"] }),
  ours("express", "memory", QUICK),
  peer("express", "express-session", QUICK),
  ours("express", "drop-in"),
  ours("express", "sealed", { ...VALUE, ...QUICK }),
  ours("express", "sealed", { ...COLD_READS, ...QUICK }),
  peer("express", "iron-session", { ...VALUE, ...QUICK }),
  ours("express", "signed", { ...VALUE, ...QUICK }),
  ours("express", "signed", COLD_READS),
  peer("express", "cookie-session", { ...VALUE, ...QUICK }),
  ours("express", "sqlite"),
  ours("express", "directory"),
  ours("express", "redis", REDIS),
  // Not to write: the load generator goes on naming the version before, and copies of later ones would not do.
  ours("express", "near-redis", { ...REDIS, routes: ["untouched", "read"] }),
  peer("express", "get-by-hand", { ...REDIS, routes: ["read"] }),
  peer("express", "connect-redis", REDIS),
  ours("express", "postgres", POSTGRES),
  peer("express", "select-by-hand", { ...POSTGRES, routes: ["read"] }),
  ours("express", "mysql", MARIADB),
  peer("express", "mysql-by-hand", { ...MARIADB, routes: ["read"] }),
  ours("express", "memcached", { needs: "memcached" }),
  // All sign in as one subject, whose sessions are one value there: it would be the length of that which is measured.
  ours("express", "nats", { needs: "nats", routes: ["untouched", "read", "write"] }),
  peer("express", "better-auth", { routes: ["read"] }),
  peer("express", "better-auth-cookie", { routes: ["read"] }),
  alone("fastify"),
  ours("fastify", "memory", QUICK),
  peer("fastify", "@fastify/session", QUICK),
  ours("fastify", "sealed", { ...VALUE, ...QUICK }),
  ours("fastify", "sealed", { ...COLD_READS, ...QUICK }),
  peer("fastify", "@fastify/secure-session", { ...VALUE, ...QUICK }),
  alone("koa"),
  ours("koa", "memory", QUICK),
  peer("koa", "koa-session", QUICK),
  alone("hono"),
  ours("hono", "memory", QUICK),
  peer("hono", "hono-sessions", QUICK),
  peer("hono", "hono-sessions-plain", { routes: ["untouched", "read", "write"] }),
  ours("hono", "sealed", { ...VALUE, ...QUICK }),
  ours("hono", "sealed", COLD_READS),
  peer("hono", "@hono/session", { ...VALUE, ...QUICK }),
  ours("hono", "signed", VALUE),
  peer("hono", "react-router", VALUE),
  alone("h3", {}),
  ours("h3", "sealed", VALUE),
  peer("h3", "h3", VALUE),
  alone("go", {}),
  peer("go", "scs"),
  peer("go", "gorilla-cookie", VALUE),
  peer("go", "gorilla-files"),
  alone("tomcat", {}),
  peer("tomcat", "http-session"),
  alone("flask", {}),
  peer("flask", "flask-session", VALUE),
  alone("django", {}),
  peer("django", "django-memory"),
  peer("django", "django-cookie", VALUE),
  alone("php", {}),
  peer("php", "php-session"),
];

function alone(host: Host, more: More = QUICK): Subject {
  return subject(host, "bare", "alone", more);
}

function ours(host: Host, kind: OurKind, more: More = {}): Subject {
  const again = more.cold ? ", always another cookie" : "";
  return subject(host, kind, `coatcheck, ${OURS[kind]}${again}`, more);
}

function peer(host: Host, kind: keyof typeof PEERS, more: More = {}): Subject {
  return subject(host, kind, PEERS[kind], more);
}

function subject(host: Host, kind: Kind, library: string, more: More): Subject {
  const isAlone = kind === "bare" || kind === "control";
  return {
    name: `${host}/${kind}${more.cold ? "-cold" : ""}`,
    host,
    kind,
    label: isAlone ? `${HOSTS[host]} ${library}` : `${HOSTS[host]} + ${library}`,
    ours: kind in OURS,
    byValue: false,
    cold: false,
    needs: undefined,
    quick: false,
    routes: undefined,
    ...more,
  };
}

/** The subject of a name. Throws an `Error` when there is none. */
export function subjectOf(name: string): Subject {
  const found = SUBJECTS.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no subject ${name}: ${SUBJECTS.map((each) => each.name).join(", ")}`);
  return found;
}

/** Why a subject cannot be measured here; undefined when it can. */
export function obstacleTo({ host, kind, needs, byValue }: Subject, bytes: number): string | undefined {
  if (!isOnNode(host)) {
    const missing = programOf(host).missing(kind);
    if (missing !== undefined) return missing;
  }
  const lack = needs === undefined ? undefined : lackOf(needs);
  if (lack !== undefined) return lack;
  if (byValue && bytes > LARGEST_BY_VALUE) return "no cookie takes so much";
  const isBuilt = kind !== "sqlite" || existsSync(fileURLToPath(import.meta.resolve("coatcheck/store/sqlite")));
  return isBuilt ? undefined : "it is not built";
}
