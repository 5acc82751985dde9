/**
 * What is to happen, in the order of its time. Nothing waits: time goes on to the next entry.
 *
 * @module
 */

/** Work at a time, in milliseconds. */
export interface Agenda {
  /** What time it is. */
  readonly now: number;
  at(time: number, work: () => void): void;
  /** Does what is due by `end`, and what comes of it. */
  runTo(end: number): void;
}

interface Entry {
  readonly time: number;
  /** Of two at one time the one that was noted first comes first. */
  readonly order: number;
  readonly work: () => void;
}

const isBefore = (a: Entry, b: Entry): boolean => a.time < b.time || (a.time === b.time && a.order < b.order);

/** An agenda that begins at `start`. */
export function agendaFrom(start: number): Agenda {
  /** A heap: each entry comes before the two at twice its place. */
  const heap: Entry[] = [];
  let now = start;
  let order = 0;

  function push(entry: Entry): void {
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(entry, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = entry;
  }

  function pop(): Entry {
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++;
      if (!isBefore(heap[below]!, last)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
    return first;
  }

  return {
    get now() {
      return now;
    },
    at: (time, work) => push({ time: Math.max(time, now), order: order++, work }),
    runTo(end) {
      while (heap.length > 0 && heap[0]!.time <= end) {
        const entry = pop();
        now = entry.time;
        entry.work();
      }
      now = Math.max(now, end);
    },
  };
}
