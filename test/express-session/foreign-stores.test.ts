import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExpressStore } from "../../src/adapter/express-session.ts";
import { expressSessionStore } from "../../src/store/express-session.ts";
import type { SessionStore } from "../../src/store/store.ts";
import { raceCases } from "../../src/testing/store-cases-races.ts";
import { storeCases } from "../../src/testing/store-cases.ts";
import { describeWithServers } from "../servers/require.ts";
import { FOREIGN_KINDS, type ForeignPlace } from "./foreign-stores.ts";

for (const { name, programs, shared, start } of FOREIGN_KINDS) {
  describeWithServers(`expressSessionStore over ${name}`, programs, () => {
    let place: ForeignPlace;
    let store: ExpressStore;
    beforeAll(async () => {
      place = await start();
      store = await place.open();
    });
    afterAll(() => place.stop());

    describe("in one process it keeps the contract", () => {
      for (const { name: title, run, capability } of storeCases) {
        test(title, async ({ skip }) => {
          const wrapped = expressSessionStore(store);
          if (capability !== undefined && wrapped[capability] === undefined) skip();
          await run(() => wrapped);
        });
      }
    });

    test.runIf(shared)(
      "between processes it does not: what its documentation says, it says because of these",
      async () => {
        const failed: string[] = [];
        const two = [expressSessionStore(await place.open()), expressSessionStore(await place.open())] as const;
        for (const { name: title, run, capability } of storeCases) {
          if (capability !== undefined) continue;
          // As two servers would: every call goes to the other one.
          await run(() => alternating(...two)).catch(() => failed.push(title));
        }
        expect(failed).toContain("200 parallel increments, each a loop of read and update, end at 200");
        expect(failed.filter((title) => !raceCases.some((race) => race.name === title))).toEqual([]);
      },
    );
  });
}

function alternating(one: SessionStore, other: SessionStore): SessionStore {
  let turn = 0;
  const next = (): SessionStore => (turn++ % 2 === 0 ? one : other);
  return {
    create: (...args) => next().create(...args),
    read: (...args) => next().read(...args),
    update: (...args) => next().update(...args),
    touch: (...args) => next().touch(...args),
    delete: (...args) => next().delete(...args),
  };
}
