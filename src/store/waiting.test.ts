import { expect, test } from "vitest";
import { retried, untilAborted } from "./waiting.ts";

const undone = new Error("deadlock");
const wasUndone = (error: unknown): boolean => error === undone;

test("a statement that was undone is tried five times, one that failed otherwise once", async () => {
  let tries = 0;
  const failing = (error: Error) => () => {
    tries++;
    return Promise.reject(error);
  };
  await expect(retried(failing(undone), wasUndone, {})).rejects.toBe(undone);
  expect(tries).toBe(5);
  await expect(retried(failing(new Error("away")), wasUndone, {})).rejects.toThrow("away");
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
  await expect(retried(statement, wasUndone, { signal })).rejects.toBe(undone);
  expect(tries).toBe(1);
});

test("what nobody waits for any more is not begun, and what nobody waits for longer rejects with the reason", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  let reject!: (error: Error) => void;
  const promise = new Promise<never>((_, no) => (reject = no));
  const waiting = untilAborted({ signal }, () => promise);
  controller.abort(new Error("given up"));
  await expect(waiting).rejects.toThrow("given up");
  // Nobody hears what becomes of it.
  reject(new Error("away"));
  let begun = 0;
  await expect(untilAborted({ signal }, async () => ++begun)).rejects.toThrow("given up");
  expect(begun).toBe(0);
});
