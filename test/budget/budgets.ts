/**
 * What a request may cost beyond the same request without sessions: the figures as they were when somebody last looked.
 * Store calls, statements, header bytes and promises are exact; allocation has some headroom, see `requests.test.ts`. A figure
 * that goes down is a reason to lower it here, by `measure.ts`; one that has to go up is a reason to say why.
 */
import type { Adapter, Cost, Costs, Kind } from "./cost.ts";

function cost(storeCalls: number, statements: number, header: number, promises: number, bytes: number): Cost {
  return { storeCalls, statements, header, promises, bytes };
}

/** In the order: store calls, statements, bytes of header, promises, bytes allocated. */
export const BUDGETS: Readonly<Record<Kind, Readonly<Record<Adapter, Costs>>>> = {
  memory: {
    node: {
      untouched: cost(0, 0, 0, 1, 1063),
      read: cost(1, 0, 14, 1, 5782),
      write: cost(2, 0, 14, 1, 10824),
      "sign-in": cost(2, 0, 153, 1, 22851),
    },
    fetch: {
      untouched: cost(0, 0, 0, 2, 1718),
      read: cost(1, 0, 14, 2, 8280),
      write: cost(2, 0, 14, 2, 13313),
      "sign-in": cost(2, 0, 153, 2, 25482),
    },
  },
  sqlite: {
    node: {
      untouched: cost(0, 0, 0, 1, 1063),
      read: cost(1, 1, 14, 1, 7199),
      write: cost(2, 2, 14, 1, 13499),
      "sign-in": cost(2, 2, 153, 1, 25101),
    },
    fetch: {
      untouched: cost(0, 0, 0, 2, 1718),
      read: cost(1, 1, 14, 2, 9699),
      write: cost(2, 2, 14, 2, 16041),
      "sign-in": cost(2, 2, 153, 2, 27737),
    },
  },
  later: {
    node: {
      untouched: cost(0, 0, 0, 1, 1059),
      read: cost(1, 0, 14, 8, 8661),
      write: cost(2, 0, 14, 22, 21975),
      "sign-in": cost(2, 0, 153, 23, 33842),
    },
    fetch: {
      untouched: cost(0, 0, 0, 2, 1718),
      read: cost(1, 0, 14, 9, 11177),
      write: cost(2, 0, 14, 26, 20651),
      "sign-in": cost(2, 0, 153, 27, 32612),
    },
  },
  sealed: {
    node: {
      untouched: cost(0, 0, 0, 1, 1063),
      read: cost(0, 0, 14, 1, 4833),
      write: cost(0, 0, 373, 1, 16026),
      "sign-in": cost(0, 0, 410, 1, 18337),
    },
    fetch: {
      untouched: cost(0, 0, 0, 2, 1718),
      read: cost(0, 0, 14, 2, 7331),
      write: cost(0, 0, 373, 2, 18422),
      "sign-in": cost(0, 0, 410, 2, 20632),
    },
  },
  signed: {
    node: {
      untouched: cost(0, 0, 0, 1, 1063),
      read: cost(0, 0, 14, 1, 4833),
      write: cost(0, 0, 338, 1, 18313),
      "sign-in": cost(0, 0, 376, 1, 20760),
    },
    fetch: {
      untouched: cost(0, 0, 0, 2, 1718),
      read: cost(0, 0, 14, 2, 7331),
      write: cost(0, 0, 338, 2, 20802),
      "sign-in": cost(0, 0, 376, 2, 23114),
    },
  },
};
