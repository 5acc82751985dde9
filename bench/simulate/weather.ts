/**
 * What the network and the machines were like when it was measured, moment by moment: a stall that held one message up for 20 ms
 * held up those that came with it, and no others.
 *
 * @module
 */

/** One deletion that was made only to measure. Times in milliseconds. */
export interface Sample {
  /** When, since the beginning. */
  readonly at: number;
  /** From the command to its answer. */
  readonly answer: number;
  /** From its answer until each of the other servers had heard of it; less than 0 when that was first. */
  readonly lags: readonly number[];
}

/** In the order of their times. */
export type Weather = readonly Sample[];

/** Which sample a moment is like: the last one before it. After the last one it begins again. */
export function indexAt(weather: Weather, time: number): number {
  const end = weather.at(-1)?.at ?? 0;
  const at = end > 0 ? time % end : 0;
  let [low, high] = [0, weather.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (weather[middle]!.at <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * How long after the answer server `server` hears of what server `by` has done. Servers that were measured together hear of it as
 * they did then; where there are more of them, each further group as of another moment.
 */
export function lagOf(weather: Weather, like: number, by: number, server: number): number {
  const listeners = weather[like]?.lags.length || 1;
  const other = server < by ? server : Math.max(0, server - 1);
  const group = Math.floor(other / listeners);
  return weather[(like + group * 7_919) % weather.length]?.lags[other % listeners] ?? 0;
}
