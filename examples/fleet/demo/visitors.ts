import { setTimeout as sleep } from "node:timers/promises";
import type { Journal } from "./journal.ts";
import { newTally, type Tally } from "./tally.ts";
import { USUAL_PACE, visit } from "./visitor.ts";

/** The simulated visitors. */
export interface Visitors {
  readonly tally: Readonly<Tally>;
  /** Sends so many, one after the other, or as many as there is room for. */
  send(count: number): void;
  stop(): void;
}

/** How many may be in the shop at a time. */
const MOST = 40;
/** Between two arrivals. */
const APART_MS = 100;

/** Visitors of the shop at `origin`, a port of this machine. */
export function createVisitors(origin: string, journal: Journal): Visitors {
  const tally = newTally();
  const end = new AbortController();
  const counted = { signedOut: 0, lost: 0 };
  let expected = 0;

  async function arrive(count: number): Promise<void> {
    for (let index = 0; index < count && !end.signal.aborted; index++) {
      // One at a time through the door: a password costs a fifth of a second of a core, and servers with more of that to do than
      // the proxy's patience allows would get nothing done at all.
      await new Promise<void>((isIn) => {
        void visit(origin, { tally, signal: end.signal, pace: USUAL_PACE, isIn }).then(leave).then(isIn);
      });
      await sleep(APART_MS);
    }
  }

  function leave(): void {
    expected--;
    const { signedOut, lost } = tally;
    if (signedOut > counted.signedOut) journal.note("A visitor was signed out by accident.", "bad");
    if (lost > counted.lost) journal.note("A visitor missed something in the cart.", "bad");
    Object.assign(counted, { signedOut, lost });
    if (expected === 0 && !end.signal.aborted) journal.note(`All visitors have left. ${verdict(tally)}`, "good");
  }

  return {
    tally,
    send(wish) {
      const count = Math.min(wish, MOST - expected);
      if (count <= 0) return journal.note(`There are ${MOST} visitors, and no room for more.`);
      expected += count;
      journal.note(`${count} visitors come: they sign in, fill carts and read them.`);
      void arrive(count);
    },
    stop: () => end.abort(),
  };
}

function verdict({ signedOut, lost }: Tally): string {
  return `Signed out by accident: ${signedOut}. Updates lost: ${lost}.`;
}
