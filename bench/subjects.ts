/**
 * What is measured, and against what.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Route } from "./data.ts";

/** One kind of server. */
export interface Subject {
  readonly name: string;
  readonly label: string;
  /** Whether it is this package. */
  readonly ours: boolean;
  /** By value, each write makes a new cookie, and each client has to be given it. */
  readonly byValue: boolean;
  /** How many sessions take turns. */
  readonly sessions: number;
  /** The one to compare with. */
  readonly peer?: string;
  /** Which part of the peer's cost it may have (design §6). Undefined: not said. */
  readonly target?: Readonly<Partial<Record<Route, number>>>;
  /** A door that it needs. */
  readonly needs?: string;
  /** The only routes that it is asked for. */
  readonly routes?: readonly Route[];
}

/**
 * As many sessions as connections. If they all wrote to one session, conflicts would be measured.
 */
export const USUAL = 32;
/** Twice as many as are remembered of opened tokens. */
export const COLD = 2048;

/** The known cost that shows what the method makes of costs, in microseconds. */
export const CONTROL_MICROS = 20;

const BY_ID = { ours: true, byValue: false, sessions: USUAL, peer: "express-session" } as const;
const SEALED = { ours: true, byValue: true, peer: "iron-session" } as const;
const PEER = { ours: false, byValue: false, sessions: USUAL } as const;
const THIRD = { untouched: 1 / 3, read: 1 / 3, write: 1 / 3 };
const SIXTH = { read: 1 / 6, write: 1 / 6 };
const TWENTIETH = { read: 1 / 20, write: 1 / 20 };

/** In the order in which they take their turns in each round. */
export const SUBJECTS: readonly Subject[] = [
  { ...PEER, name: "bare", label: "Express alone" },
  { ...PEER, name: "control", label: `Express, busy for ${CONTROL_MICROS} µs`, routes: ["read"] },
  { ...BY_ID, name: "memory", label: "coatcheck, by id, memory", target: SIXTH },
  { ...PEER, name: "express-session", label: "express-session, memory" },
  { ...BY_ID, name: "drop-in", label: "coatcheck/express-session, memory", target: THIRD },
  { ...SEALED, name: "sealed", label: "coatcheck, sealed, same cookies again", sessions: USUAL, target: TWENTIETH },
  {
    ...SEALED,
    name: "sealed-cold",
    label: "coatcheck, sealed, always another cookie",
    sessions: COLD,
    target: TWENTIETH,
  },
  { ...BY_ID, name: "sqlite", label: "coatcheck, by id, SQLite", needs: "coatcheck/store/sqlite" },
  { ...BY_ID, name: "directory", label: "coatcheck, by id, directory" },
  { ...PEER, name: "iron-session", label: "iron-session", byValue: true },
];

/** The microseconds that our untouched route may cost (design §6). */
export const UNTOUCHED_TARGET = 0.5;

/** The subject of a name. Throws an `Error` when there is none. */
export function subjectOf(name: string): Subject {
  const subject = SUBJECTS.find((candidate) => candidate.name === name);
  if (subject === undefined) throw new Error(`no subject ${name}: ${SUBJECTS.map((each) => each.name).join(", ")}`);
  return subject;
}

/** Whether what a subject needs is built. */
export function isAvailable({ needs }: Subject): boolean {
  return needs === undefined || existsSync(fileURLToPath(import.meta.resolve(needs)));
}
