import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "vitest";
import { storeCases } from "../testing/store-cases.ts";
import { directoryStore } from "./directory.ts";
describe("directoryStore keeps the store contract", () => {
  for (const { name, run } of storeCases)
    test(name, () => run(() => directoryStore(mkdtempSync(join(tmpdir(), "coatcheck-")))));
});
