/**
 * The CPU time of a process that is not our own, on Linux.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";

/**
 * Makes a function that tells the CPU time of a process and of all that it has started, user and system, in microseconds. It is
 * exact to the microsecond while they rest. What a thread has used after the last look at it, and before its end, is missing.
 */
export function processTime(pid: number): () => number {
  const threads = new Map<string, number>();
  return () => {
    for (const each of processesOf(pid)) {
      for (const thread of threadsOf(each)) {
        const nanoseconds = Number(
          there(() => readFileSync(`${thread}/schedstat`, "utf8"))?.split(" ", 1)[0] ?? Number.NaN,
        );
        if (!Number.isNaN(nanoseconds)) threads.set(thread, nanoseconds);
      }
    }
    return [...threads.values()].reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1_000;
  };
}

/** A process and all that it has started, by their ids. */
export function processesOf(pid: number): readonly number[] {
  const children = threadsOf(pid).flatMap((thread) => {
    const text = there(() => readFileSync(`${thread}/children`, "utf8")) ?? "";
    return text.split(" ").flatMap((id) => (id.trim() === "" ? [] : [Number(id)]));
  });
  return [pid, ...children.flatMap(processesOf)];
}

function threadsOf(pid: number): readonly string[] {
  const folder = `/proc/${pid}/task`;
  return (there(() => readdirSync(folder)) ?? []).map((id) => `${folder}/${id}`);
}

/** What is read of a process or a thread; undefined when that has ended. */
function there<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
