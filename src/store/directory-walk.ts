/**
 * Going through all sessions of `directoryStore`, a shard at a time, letting requests in between.
 *
 * @module
 */
import { dirname, join } from "node:path";
import type { Disk } from "./directory-disk.ts";
import { halves, type Paths, SUBJECTS } from "./directory-path.ts";

/** The shards in which keys with this prefix can be, as paths, in an order that stays. */
export function shardsOf(disk: Disk, paths: Paths, prefix: string): readonly string[] {
  const shards = namesOf(disk, paths, prefix).flatMap((name) => {
    const found = disk.list(name)?.directories ?? [];
    return found.filter((shard) => shard !== SUBJECTS).map((shard) => join(name, shard));
  });
  return shards.toSorted();
}

function namesOf(disk: Disk, paths: Paths, prefix: string): readonly string[] {
  const [name] = halves(prefix);
  if (name !== undefined) return [paths.name(name)];
  const names = disk.list(paths.root)?.directories ?? [];
  return names.filter((found) => !found.startsWith(".")).map((found) => join(paths.root, found));
}

/**
 * The sessions in these shards after a path, in an order that stays: that of the shards, then of the names. Every now and
 * then it lets everything else go first.
 */
export async function* sessionsAfter(disk: Disk, shards: readonly string[], start: string): AsyncGenerator<string> {
  let since = 0;
  for (const shard of shards) {
    if (shard < dirname(start)) continue;
    for (const session of (disk.list(shard)?.directories ?? []).toSorted()) {
      const path = join(shard, session);
      if (shard === dirname(start) && path <= start) continue;
      yield path;
      if (++since % AT_ONCE === 0) await turn();
    }
    if (++since % AT_ONCE === 0) await turn();
  }
}

/** The sessions in these shards, as paths; every now and then it lets everything else go first. */
export async function* sessionsIn(disk: Disk, shards: readonly string[]): AsyncGenerator<string> {
  let since = 0;
  for (const shard of shards) {
    for (const session of disk.list(shard)?.directories ?? []) {
      yield join(shard, session);
      if (++since % AT_ONCE === 0) await turn();
    }
    if (++since % AT_ONCE === 0) await turn();
  }
}

/** Shards in their order, beginning with the first one that is not before `start`, and round to it. */
export function beginningWith(shards: readonly string[], start: string): readonly string[] {
  const at = Math.max(
    0,
    shards.findIndex((shard) => shard >= start),
  );
  return [...shards.slice(at), ...shards.slice(0, at)];
}

/** How many sessions are looked at while requests wait: about a millisecond. */
const AT_ONCE = 20;

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
