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
      untouched: cost(0, 0, 0, 1, 1487),
      read: cost(1, 0, 14, 1, 7888),
      write: cost(2, 0, 14, 1, 16924),
      "sign-in": cost(2, 0, 153, 1, 25403),
    },
    fetch: {
      untouched: cost(0, 0, 0, 6, 2957),
      read: cost(1, 0, 14, 8, 11479),
      write: cost(2, 0, 14, 8, 20541),
      "sign-in": cost(2, 0, 153, 8, 29035),
    },
  },
  sqlite: {
    node: {
      untouched: cost(0, 0, 0, 1, 1487),
      read: cost(1, 1, 14, 1, 8680),
      write: cost(2, 2, 14, 1, 18251),
      "sign-in": cost(2, 2, 153, 1, 26875),
    },
    fetch: {
      untouched: cost(0, 0, 0, 6, 2957),
      read: cost(1, 1, 14, 8, 12254),
      write: cost(2, 2, 14, 8, 21870),
      "sign-in": cost(2, 2, 153, 8, 30506),
    },
  },
  later: {
    node: {
      untouched: cost(0, 0, 0, 1, 1485),
      read: cost(1, 0, 14, 8, 10375),
      write: cost(2, 0, 14, 22, 27360),
      "sign-in": cost(2, 0, 153, 23, 36217),
    },
    fetch: {
      untouched: cost(0, 0, 0, 6, 2957),
      read: cost(1, 0, 14, 15, 13950),
      write: cost(2, 0, 14, 26, 26214),
      "sign-in": cost(2, 0, 153, 27, 35101),
    },
  },
  sealed: {
    node: {
      untouched: cost(0, 0, 0, 1, 1487),
      read: cost(0, 0, 14, 1, 5409),
      write: cost(0, 0, 373, 1, 20464),
      "sign-in": cost(0, 0, 410, 1, 26176),
    },
    fetch: {
      untouched: cost(0, 0, 0, 6, 2957),
      read: cost(0, 0, 14, 8, 8973),
      write: cost(0, 0, 373, 8, 23865),
      "sign-in": cost(0, 0, 410, 8, 29224),
    },
  },
  signed: {
    node: {
      untouched: cost(0, 0, 0, 1, 1487),
      read: cost(0, 0, 14, 1, 5409),
      write: cost(0, 0, 338, 1, 21401),
      "sign-in": cost(0, 0, 376, 1, 30390),
    },
    fetch: {
      untouched: cost(0, 0, 0, 6, 2957),
      read: cost(0, 0, 14, 8, 8973),
      write: cost(0, 0, 338, 8, 24828),
      "sign-in": cost(0, 0, 376, 8, 33332),
    },
  },
};
