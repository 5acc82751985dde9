import { describe, expect, test } from "vitest";
import { dataOf, DATA_BYTES } from "../../bench/data.ts";
import { possible, wishOf, type Options } from "../../bench/options.ts";
import { isOnNode } from "../../bench/subjects.ts";

function options(...args: readonly string[]): Options {
  const wish = wishOf(args);
  if (!("measure" in wish)) throw new Error("expected something to measure");
  return wish.measure;
}

describe("npm run bench", () => {
  test("without options measures every subject once, and publishes it", () => {
    const { form, subjects, setups } = options();
    expect(form).toBe("full");
    expect(subjects.length).toBeGreaterThan(30);
    expect(setups).toEqual([{ bytes: DATA_BYTES, sessions: 32, clients: "again" }]);
  });

  test("--quick is shorter, and a series varies one thing", () => {
    expect(options("--quick").subjects.length).toBeLessThan(options().subjects.length);
    expect(options("--series", "size").setups.map(({ bytes }) => bytes)).toEqual([113, 1_000, 10_000, 100_000]);
    expect(options("--series", "sessions").setups.map(({ sessions }) => sessions)).toEqual([1, 1_000, 1_000_000]);
  });

  test("--quick leaves out the other languages, which take their time to get warm", () => {
    const languages = (wanted: Options): string[] =>
      wanted.subjects.map(({ host }) => host).filter((host) => !isOnNode(host));
    expect(languages(options("--quick"))).toEqual([]);
    expect(new Set(languages(options()))).toEqual(new Set(["go", "tomcat", "flask", "django", "php"]));
  });

  test("with any other option publishes nothing", () => {
    expect(options("--rounds", "1").form).toBe("partial");
    expect(options("--quick", "--only", "koa/memory").form).toBe("partial");
  });

  test("--only keeps the framework alone: without it nothing can be said", () => {
    const { subjects } = options("--only", "koa/memory,express/redis");
    expect(subjects.map(({ name }) => name)).toEqual(["express/bare", "express/redis", "koa/bare", "koa/memory"]);
    expect(options("--only", "go/scs").subjects.map(({ name }) => name)).toEqual(["go/bare", "go/scs"]);
  });

  test("combines sizes with numbers of sessions", () => {
    const { setups } = options("--size", "0.1,10", "--sessions", "1,1000", "--clients", "another");
    expect(setups.map(({ bytes, sessions, clients }) => [bytes, sessions, clients])).toEqual([
      [113, 1, "another"],
      [113, 1_000, "another"],
      [10_000, 1, "another"],
      [10_000, 1_000, "another"],
    ]);
  });

  test("tells by name what makes no sense", () => {
    expect(() => options("--only", "koa/nothing")).toThrow("no subject koa/nothing");
    expect(() => options("--routes", "dance")).toThrow("no route dance");
    expect(() => options("--rounds", "none")).toThrow("--rounds must be a number above 0");
    expect(() => options("--warm-up", "0")).toThrow("--warm-up must be a number above 0");
    expect(() => options("--clients", "some")).toThrow("--clients must be");
    expect(() => options("--quick", "--series", "size")).toThrow("do not go together");
    expect(() => options("--series", "colour")).toThrow("no series colour");
  });

  test("leaves out what no cookie can take, and says so", () => {
    const { subjects, setups } = options("--only", "express/memory,express/sealed", "--size", "10");
    const found = possible(subjects, setups[0]!);
    expect(found.subjects.map(({ name }) => name)).toEqual(["express/bare", "express/memory"]);
    expect(found.leftOut).toEqual(["Express + coatcheck, sealed: no cookie takes so much"]);
  });
});

describe("the data of a session", () => {
  test.each([113, 124, 1_000, 100_000])("takes %i bytes of JSON", (bytes) => {
    expect(JSON.stringify(dataOf(bytes)()).length).toBe(bytes);
  });
});
