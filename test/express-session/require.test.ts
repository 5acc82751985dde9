import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import createMemoryStore from "memorystore";
import sessionFileStore from "session-file-store";
import { expect, test } from "vitest";
import { session, type ExpressStore } from "../../src/adapter/express-session.ts";
import { serving, through } from "./serving.ts";

const DOOR = join(import.meta.dirname, "../../src/adapter/express-session.ts");

/** What Node itself says, without a bundler or test runner in between. */
function said(...args: readonly string[]): string {
  return execFileSync(process.execPath, ["--no-warnings", ...args], { encoding: "utf8" }).trim();
}

test("require() gives the function, with its classes, as express-session's does", () => {
  const program = `
    const session = require(${JSON.stringify(DOOR)});
    const store = new session.MemoryStore();
    console.log(typeof session, typeof session({ secret: "s", store }), store instanceof session.Store,
      new session.Cookie().path, Object.keys(session).toSorted().join());`;
  expect(said("-e", program)).toBe("function function true / Cookie,MemoryStore,Session,Store");
});

test("import gives it as the default, and by name", () => {
  const program = `
    import session, { session as named, Store, toExpressStore } from ${JSON.stringify(DOOR)};
    import * as all from ${JSON.stringify(DOOR)};
    console.log(session === named, session.Store === Store, typeof toExpressStore, all.default === session);`;
  expect(said("--input-type=module", "-e", program)).toBe("true true function true");
});

test("stores that are made with express-session's function are made with ours", async () => {
  const path = mkdtempSync(join(tmpdir(), "coatcheck-files-"));
  try {
    const FileStore = sessionFileStore(session as never);
    const BoundedStore = createMemoryStore(session as never);
    const stores = [
      new FileStore({ path, retries: 0, reapInterval: -1, logFn: () => {} }),
      new BoundedStore({ checkPeriod: 60_000 }),
    ];
    for (const store of stores) {
      expect(store).toBeInstanceOf(session.Store);
      const middleware = session({
        secret: "s",
        resave: false,
        saveUninitialized: false,
        store: store as ExpressStore,
      });
      const counting = through(
        middleware,
        (req: { session: { visits?: number } }, res: { end(text: string): void }) => {
          req.session.visits = (req.session.visits ?? 0) + 1;
          res.end(String(req.session.visits));
        },
      );
      await serving(counting, async ({ ask }) => {
        const { cookie } = await ask();
        expect((await ask({ cookie })).body).toBe("2");
      });
    }
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
});
