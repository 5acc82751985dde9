import { expect, test } from "vitest";
import { retried } from "./sql-client.ts";

const undone = new Error("deadlock");
const wasUndone = (error: unknown): boolean => error === undone;

test("a statement that was undone is tried five times, one that failed otherwise once", async () => {
  let tries = 0;
  const failing = (error: Error) => () => {
    tries++;
    return Promise.reject(error);
  };
  await expect(retried(failing(undone), wasUndone, { now: 0 })).rejects.toBe(undone);
  expect(tries).toBe(5);
  await expect(retried(failing(new Error("away")), wasUndone, { now: 0 })).rejects.toThrow("away");
  expect(tries).toBe(6);
});

test("a statement that was undone is not sent again when nobody waits for it any more by then", async () => {
  const controller = new AbortController();
  let tries = 0;
  const statement = (): Promise<never> => {
    tries++;
    setImmediate(() => controller.abort());
    return Promise.reject(undone);
  };
  const { signal } = controller;
  await expect(retried(statement, wasUndone, { now: 0, signal })).rejects.toBe(undone);
  expect(tries).toBe(1);
});
