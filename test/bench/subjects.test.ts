import { describe } from "vitest";
import { isOnNode, SUBJECTS } from "../../bench/subjects.ts";
import { starter, testSubjects } from "./subject-tests.ts";

describe("every server of the benchmark on Node", () => {
  const alone = SUBJECTS.filter(({ host, needs }) => isOnNode(host) && needs === undefined);
  testSubjects(alone, starter());
});
