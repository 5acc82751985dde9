import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;

/** Every public name of every door: a name that comes or goes is a decision, and shows here. */
test("each door exports just these names", async () => {
  const names: Record<string, string[]> = {};
  for (const [door, target] of Object.entries(manifest.exports)) {
    if (typeof target === "string") continue;
    const source = target.default.replace("./dist/", "../../src/").replace(/\.js$/, ".ts");
    names[door] = Object.keys((await import(source)) as object).toSorted();
  }
  expect(names).toMatchSnapshot();
});

test("each door has its source where its name says", () => {
  for (const [door, target] of Object.entries(manifest.exports)) {
    if (typeof target === "string") continue;
    expect(target.types).toBe(target.default.replace(/\.js$/, ".d.ts"));
    expect(existsSync(join(ROOT, target.default.replace("./dist/", "src/").replace(/\.js$/, ".ts"))), door).toBe(true);
  }
});

test("every version is exact", () => {
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })) {
    expect(version, name).toMatch(/^(npm:[\w@/.-]+@)?\d+\.\d+\.\d+$/);
  }
});
