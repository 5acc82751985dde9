import { describe } from "vitest";
import { sqliteStore } from "../../src/store/sqlite.ts";
import { testProcesses } from "./store-cases-of-processes.ts";

describe("several processes on one SQLite file:", () => {
  testProcesses("sqlite", (path) => sqliteStore(path, { sweepInterval: false }));
});
