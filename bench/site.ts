/**
 * What a subject is given to keep its sessions in.
 *
 * @module
 */
import type { SessionStore } from "coatcheck";
import { dataOf, type BenchData } from "./data.ts";

/** As JSON, for the process of a server. */
export interface SiteText {
  /** Where it may keep files. */
  readonly folder: string;
  /** Of a Redis that was started for the run; 0 where there is none. */
  readonly redisPort: number;
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
}

/** What stands in `text`, and the data that goes with it. */
export function siteOf(text: SiteText): Site {
  return { ...text, newData: dataOf(text.bytes) };
}
