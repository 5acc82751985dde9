import type { NearRead } from "./near.ts";

/** What happened in one second. */
export interface Second {
  /** Seconds since the epoch. */
  readonly at: number;
  /** Requests answered, by server. */
  readonly requests: Readonly<Record<string, number>>;
  /** How old the copies were that reads were answered with, in milliseconds; undefined when nothing was read. */
  readonly ages: { readonly median: number; readonly max: number } | undefined;
}

/** What a server did in the last few seconds. */
export interface Pace {
  readonly requestsPerSecond: number;
  /** 0 to 1; undefined when nothing was read. */
  readonly hitRate: number | undefined;
  /** The oldest copy, in milliseconds; undefined when nothing was read. */
  readonly oldest: number | undefined;
}

/** Counts what the servers report. */
export interface Meter {
  answered(server: string): void;
  read(server: string, read: NearRead): void;
  /** The last minute, without the second under way, the newest last. */
  seconds(): readonly Second[];
  pace(server: string): Pace;
}

const KEPT_SECONDS = 60;
const PACE_SECONDS = 5;

interface Bucket {
  readonly requests: Map<string, number>;
  readonly reads: { readonly server: string; readonly hit: boolean; readonly age: number }[];
}

export function createMeter(servers: readonly string[], now: () => number = Date.now): Meter {
  const buckets = new Map<number, Bucket>();
  const second = (): number => Math.floor(now() / 1000);

  function bucket(): Bucket {
    const at = second();
    const found = buckets.get(at) ?? { requests: new Map<string, number>(), reads: [] };
    buckets.set(at, found);
    for (const old of buckets.keys()) if (old < at - KEPT_SECONDS) buckets.delete(old);
    return found;
  }

  /** The last `count` full seconds. */
  function past(count: number): readonly { readonly at: number; readonly bucket: Bucket | undefined }[] {
    const end = second();
    return Array.from({ length: count }, (_, index) => end - count + index).map((at) => ({
      at,
      bucket: buckets.get(at),
    }));
  }

  return {
    answered(server) {
      const { requests } = bucket();
      requests.set(server, (requests.get(server) ?? 0) + 1);
    },
    read: (server, { hit, age }) => void bucket().reads.push({ server, hit, age }),
    seconds: () =>
      past(KEPT_SECONDS).map(({ at, bucket: found }) => ({
        at,
        requests: Object.fromEntries(servers.map((server) => [server, found?.requests.get(server) ?? 0])),
        ages: agesOf(found?.reads.map(({ age }) => age) ?? []),
      })),
    pace(server) {
      const found = past(PACE_SECONDS).flatMap((each) => each.bucket ?? []);
      const requests = found.reduce((sum, each) => sum + (each.requests.get(server) ?? 0), 0);
      const reads = found.flatMap((each) => each.reads.filter((read) => read.server === server));
      const hits = reads.filter(({ hit }) => hit).length;
      return {
        requestsPerSecond: requests / PACE_SECONDS,
        hitRate: reads.length === 0 ? undefined : hits / reads.length,
        oldest: agesOf(reads.map(({ age }) => age))?.max,
      };
    },
  };
}

function agesOf(ages: readonly number[]): Second["ages"] {
  const sorted = ages.toSorted((a, b) => a - b);
  const max = sorted.at(-1);
  return max === undefined ? undefined : { median: sorted[Math.floor(sorted.length / 2)] ?? max, max };
}
