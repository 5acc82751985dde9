import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newCredential } from "../server/session-server.ts";
import { changeCredentials, isWritableByOthers, readCredentials } from "./credential-file.ts";
import { loadDriver } from "./driver.ts";
import { openStore } from "./store-url.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "coatcheck-cli-"))));
afterEach(() => rmSync(folder, { recursive: true }));

describe("the file of credentials", () => {
  const { text, credential } = newCredential("shop", "shop");

  test("is made when there is none, for its owner only, with hashes", () => {
    const file = join(folder, "c.json");
    expect(readCredentials(file)).toBeUndefined();
    changeCredentials(file, (before) => [...before, credential]);
    expect(readCredentials(file)).toEqual([credential]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(isWritableByOthers(file)).toBe(false);
    expect(readFileSync(file, "utf8")).not.toContain(text.slice("coatcheck_".length));
    changeCredentials(file, () => []);
    expect(readCredentials(file)).toEqual([]);
    expect(readdirSync(folder)).toEqual(["c.json"]);
  });

  test("stays as it is when the change fails, or another one is under way", () => {
    const file = join(folder, "c.json");
    changeCredentials(file, () => [credential]);
    expect(() => changeCredentials(file, (before) => [...before, credential])).toThrow(/another one has the id/);
    writeFileSync(`${file}.new`, "");
    expect(() => changeCredentials(file, () => [])).toThrow(/another command is changing/);
    expect(readCredentials(file)).toEqual([credential]);
    expect(() => changeCredentials(join(folder, "no/c.json"), () => [])).toThrow(/ENOENT/);
  });

  test("says what is wrong with it, and quotes none of it", () => {
    const file = join(folder, "c.json");
    for (const [content, message] of [
      ["", /it is no JSON/],
      ['{"credentials": secret', /it is no JSON$/],
      ["{}", /expected a list/],
      ["[]", /expected a list/],
      ["null", /is no file of credentials/],
      ['{"credentials":[{"id":"1"}]}', /number 1: application/],
    ] as const) {
      writeFileSync(file, content);
      expect(() => readCredentials(file), content).toThrow(message);
    }
    expect(() => readCredentials(folder)).toThrow(/cannot be read/);
  });
});

describe("a store by its URL", () => {
  const tell = (): void => {};

  test("is opened, and makes its file", async () => {
    const { store, description, close } = await openStore(`sqlite:${join(folder, "a.db")}?synchronous=full`, tell);
    expect(description).toBe(`sqlite:${join(folder, "a.db")}`);
    expect(await store.read("key", { now: 0 })).toBeUndefined();
    await close();
    expect(readdirSync(folder)).toContain("a.db");
  });

  test.each([
    ["mongodb://host", /--store takes sqlite:PATH/],
    ["coatcheck.db", /--store takes sqlite:PATH/],
    ["constructor:x", /--store takes sqlite:PATH/],
    ["sqlite:", /cannot be used: path/],
    ["sqlite:/nowhere/at/all.db", /cannot be used: .*ENOENT/],
    ["sqlite:a.db?synchronous=maybe", /cannot be used: synchronous/],
    ["sqlite:a.db?sync=full", /knows \?synchronous=full and no sync/],
    ["redis://user:hidden@127.0.0.1:1", /^The store redis:\/\/127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED/],
    ["redis://user:hid den@:x", /^The store redis:\/\/… cannot be used/],
    [
      "postgres://user:hidden@127.0.0.1:1/shop",
      /^The store postgres:\/\/127\.0\.0\.1:1\/shop cannot be used: .*ECONNREFUSED/,
    ],
    ["redis://user:1/hidden@127.0.0.1:1", /^--store: write \/ \? # and @ in .* as %2F/],
    ["postgres://user:1/hidden@127.0.0.1:1/shop", /^--store: write/],
    ["mysql://user:1?hidden@127.0.0.1:1/shop", /^--store: write/],
    ["mysql://user:1#hidden@127.0.0.1:1/shop", /^--store: write/],
    [
      "mysql://user:hidden@127.0.0.1:1/shop",
      /^The store mysql:\/\/127\.0\.0\.1:1\/shop cannot be used: .*ECONNREFUSED/,
    ],
  ])("that cannot be says why, without a password: %s", async (url, message) => {
    const error = await openStore(url, tell).catch((thrown: unknown) => thrown as Error);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toMatch(/hid ?den/);
  });

  test("takes a driver, and says which when it is not installed", async () => {
    await expect(loadDriver("mysql2/promise", [join(folder, "package.json")])).rejects.toThrow(/npm install mysql2$/);
    expect(Object.keys(await loadDriver<object>("pg", [join(folder, "package.json"), import.meta.url]))).toContain(
      "Pool",
    );
  });
});
