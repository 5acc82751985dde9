/**
 * Deletions that have reached replicas before they are reported as done.
 *
 * @module
 */
import { checkNames } from "../internal/option-names.ts";
import { type Duration, milliseconds } from "../internal/duration.ts";
import { positiveInteger } from "./option-check.ts";
import type { RedisConnection, Send } from "./redis-connection.ts";

/** For what has to survive the loss of the primary. */
export interface RedisWaitOptions {
  /**
   * How many replicas have to have it: all that could become the primary. With fewer a failover may choose one that has not, and
   * what was ended is back. While one is away, sign-outs fail (503).
   */
  readonly replicas: number;
  /** How long they have for it, in seconds or as a text. Less than the `storeTimeout` of the definition. */
  readonly timeout: Duration;
}

/** Runs a script on a key, on whatever connection there is or on one that is waited for. */
export type Run = <T>(name: string, work: (send: Send) => Promise<T>) => Promise<T>;

/** How deletions are run: see {@link RedisWaitOptions}. Throws a `TypeError` for options that cannot work. */
export function deletionsOn(connection: RedisConnection, wait: RedisWaitOptions | undefined): Run {
  if (wait === undefined) return (name, work) => work((args, call) => connection.command(name, args, call));
  checkNames("wait", wait, ["replicas", "timeout"]);
  const replicas = positiveInteger("wait.replicas", wait.replicas, 1);
  const timeout = milliseconds("wait.timeout", wait.timeout);
  return (name, work) =>
    connection.hold(name, async (held, keyed) => {
      const before = await held(["CLIENT", "ID"]);
      const result = await work(keyed);
      // Even if nothing was there: the caller may be asking again because the replicas were too slow the first time.
      const reached = Number(await held(["WAIT", String(replicas), String(timeout)]));
      if (reached < replicas)
        throw new Error(`redisStore: the deletion reached ${reached} of ${replicas} replicas in time`);
      // WAIT speaks of what was written on its own connection: on a new one that is nothing, and every replica has it.
      if (String(await held(["CLIENT", "ID"])) === String(before)) return result;
      throw new Error("redisStore: the connection was lost, and nobody knows which replicas the deletion has reached");
    });
}
