import { describe, test } from "vitest";
import { storeCases } from "../testing/store-cases.ts";
import { memoryStore } from "./memory.ts";
describe("memoryStore keeps the store contract", () => {
  for (const { name, run } of storeCases) test(name, () => run(() => memoryStore()));
});
