import { describe, expect, test } from "vitest";
import { BUDGETS } from "./budgets.ts";
import { ADAPTERS, KINDS, ROUTES } from "./cost.ts";
import { measured } from "./measure.ts";

/** How much more than its budget may be allocated: other machines and patch releases of Node differ a little. */
const HEADROOM = 1.15;

const NAMES = {
  memory: "by id in memory",
  sqlite: "by id in SQLite",
  later: "by id in a store that answers later",
  sealed: "sealed",
  signed: "signed",
} as const;

describe.each(KINDS)("a session kept as %s", (kind) => {
  test.each(ADAPTERS)(`${NAMES[kind]}, behind /%s, costs a request no more than it did`, async (adapter) => {
    const costs = await measured(kind, adapter);
    for (const route of ROUTES) {
      const [found, budget] = [costs[route], BUDGETS[kind][adapter][route]];
      const { bytes, ...exact } = found;
      for (const [name, count] of Object.entries(exact)) {
        expect.soft(count, `${route}: ${name}`).toBeLessThanOrEqual(budget[name as keyof typeof exact]);
      }
      expect.soft(bytes, `${route}: bytes allocated`).toBeLessThanOrEqual(budget.bytes * HEADROOM);
    }
  });
});

describe("what the design promises of store traffic", () => {
  test.each(["memory", "sqlite", "later"] as const)("%s: no call, one, two, and at most three to sign in", (kind) => {
    for (const adapter of ADAPTERS) {
      const { untouched, read, write, "sign-in": signIn } = BUDGETS[kind][adapter];
      expect([untouched, read, write].map(({ storeCalls }) => storeCalls)).toEqual([0, 1, 2]);
      expect(signIn.storeCalls).toBeLessThanOrEqual(3);
    }
  });

  test("one statement of SQLite a call", () => {
    const routes = Object.values(BUDGETS.sqlite.node);
    expect(routes.map(({ statements }) => statements)).toEqual(routes.map(({ storeCalls }) => storeCalls));
  });

  test("a store that answers at once makes no promise, and a look at a session sets no cookie", () => {
    for (const kind of ["memory", "sqlite", "sealed", "signed"] as const) {
      const { untouched, read, write, "sign-in": signIn } = BUDGETS[kind].node;
      expect([read, write, signIn].map(({ promises }) => promises)).toEqual(Array(3).fill(untouched.promises));
      expect(read.header).toBe("Vary: Cookie\r\n".length);
      expect(untouched.header).toBe(0);
    }
  });
});
