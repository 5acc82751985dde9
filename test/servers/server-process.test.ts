import { expect, test } from "vitest";
import { freePorts } from "./server-process.ts";

test("nobody is given a port that another process was given, whatever their numbers", async () => {
  // Once more, as in another process of which the number ends in the same digits.
  const other = (await import(/* @vite-ignore */ `${import.meta.dirname}/server-process.ts?other`)) as {
    readonly freePorts: typeof freePorts;
  };
  const ours = await freePorts(3);
  const theirs = await other.freePorts(3);
  expect(new Set([...ours, ...theirs]).size).toBe(6);
});
