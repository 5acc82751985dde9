import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { storeCases } from "../testing/store-cases.ts";
import { sqliteStore } from "./sqlite.ts";
describe("sqliteStore keeps the store contract", () => {
  for (const { name, run } of storeCases)
    test(name, () => run(() => sqliteStore(join(mkdtempSync(join(tmpdir(), "coatcheck-")), "s.db"))));
});
