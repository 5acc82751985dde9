/**
 * What a subject is given to keep its sessions in.
 *
 * @module
 */
import type { SessionStore } from "coatcheck";
import { dataOf, type BenchData } from "./data.ts";
import type { Need } from "./needs.ts";

/** Where the servers are that were started for the run, as their clients are told; of those only that are needed. */
export type Urls = Readonly<Partial<Record<Need, string>>>;

/** As JSON, for the process of a server. */
export interface SiteText {
  /** Where it may keep files. */
  readonly folder: string;
  readonly urls: Urls;
  /** What the data of a session takes as JSON. */
  readonly bytes: number;
  /** How many sessions there will be at most. */
  readonly sessions: number;
}

/** For the code of a subject. */
export interface Site extends SiteText {
  /** The data of a new session. */
  newData(): BenchData;
  /** What to put between a definition of ours and its store. */
  readonly wrap?: (store: SessionStore) => SessionStore;
  /** Is told how to end each connection that was opened, where the process does not end instead. */
  readonly opened?: (end: () => unknown) => void;
}

/** What stands in `text`, and the data that goes with it. */
export function siteOf(text: SiteText): Site {
  return { ...text, newData: dataOf(text.bytes) };
}

/** Where a server is. Throws an `Error` when it was not started. */
export function urlOf({ urls }: Pick<SiteText, "urls">, need: Need): string {
  const url = urls[need];
  if (url === undefined) throw new Error(`${need} was not started`);
  return url;
}
