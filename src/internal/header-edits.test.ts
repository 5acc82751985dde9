import { expect, test } from "vitest";
import type { HeaderEdit } from "../transport/transport.ts";
import { applyEdits } from "./header-edits.ts";

function applied(given: Record<string, string>, ...edits: readonly HeaderEdit[]): [string, string][] {
  const headers = new Headers(given);
  applyEdits(edits, {
    get: (name) => headers.get(name) ?? undefined,
    set: (name, value) => headers.set(name, value),
    append: (name, value) => headers.append(name, value),
  });
  return [...headers];
}

test("set replaces, append adds a line, in order", () => {
  const edits: readonly HeaderEdit[] = [
    { name: "Cache-Control", value: "no-store", mode: "set" },
    { name: "Set-Cookie", value: "b=2", mode: "append" },
    { name: "Set-Cookie", value: "c=3", mode: "append" },
  ];
  expect(applied({ "Cache-Control": "public", "Set-Cookie": "a=1" }, ...edits)).toEqual([
    ["cache-control", "no-store"],
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
    ["set-cookie", "c=3"],
  ]);
});

test.each([
  ["nothing", {}, "Cookie"],
  ["an empty header", { Vary: "" }, "Cookie"],
  ["another name", { Vary: "Accept" }, "Accept, Cookie"],
  ["the name in another case", { Vary: "accept , COOKIE" }, "accept , COOKIE"],
  ["a name that contains it", { Vary: "X-Cookie" }, "X-Cookie, Cookie"],
  ["a star", { Vary: "*" }, "*"],
])("merge into %s", (_, given, expected) => {
  expect(applied(given as Record<string, string>, { name: "Vary", value: "Cookie", mode: "merge" })).toEqual([
    ["vary", expected],
  ]);
});
