/**
 * What a user gets: the built and packed package, installed by npm into an empty project, on every supported runtime, by `import`
 * and by `require`, with every compiler that users have.
 */
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test, type TestContext } from "vitest";
import { storeCases } from "../../src/testing/store-cases.ts";
import {
  developmentPackages,
  filesIn,
  installPackage,
  link,
  ROOT,
  type InstalledProject,
} from "./installed-package.ts";
import { typesProgram, walkProgram, type Loading } from "./installed-programs.ts";
import {
  bunDownload,
  denoDownload,
  isUnreachable,
  nodeDownload,
  programOf,
  typescriptDownload,
  type Download,
} from "./installed-runtimes.ts";
import { KTOR_KEY, type Report, type WalkOptions } from "./installed/walks.ts";

const MODULES = join(ROOT, "node_modules");
const LARGEST_FILE = 64 * 1024;
const LARGEST_PACKAGE = 2 * 1024 * 1024;

let project: InstalledProject;
/** An app with frameworks inside the project, where the package cannot see them: it has to do without. */
let app: string;
let compiled: string;
let unreachable: string | undefined;
const required = process.env["REQUIRE_SERVERS"] === "1";

beforeAll(async () => {
  try {
    project = await installPackage();
  } catch (error) {
    if (required || !isUnreachable(error)) throw error;
    unreachable = String(error);
    return;
  }
  const { folder, manifest } = project;
  link(folder, ["@types/node", ...Object.keys(manifest.peerDependencies ?? {})]);
  writeFileSync(join(folder, "doors.mts"), typesProgram(manifest, "import"));
  writeFileSync(join(folder, "doors.cts"), typesProgram(manifest, "require"));
  copyPrograms("test/package/installed", folder);

  app = join(folder, "app");
  link(app, developmentPackages());
  writeFileSync(join(app, "package.json"), '{ "private": true, "type": "module" }\n');
  writeFileSync(join(app, "import.mjs"), walkProgram(manifest, "import"));
  writeFileSync(join(app, "require.cjs"), walkProgram(manifest, "require"));
  copyPrograms("test/package/installed", app);
  copyPrograms("test/types", app);
  compiled = await complaints(OUR_COMPILER, { folder: app, files: ["walks.ts"], options: { ...LOOSE, noEmit: false } });
}, 120_000);

beforeEach(({ skip }) => {
  if (unreachable !== undefined) skip(`npm cannot install the package without the registry: ${unreachable}`);
});

afterAll(() => project?.remove(), 120_000);

function copyPrograms(from: string, to: string): void {
  cpSync(join(ROOT, from), to, { recursive: true, filter: (path) => !path.endsWith(".json") });
}

/** Runs a program in the app, with an environment that says nothing. Its exit code tells in the error. */
async function run(command: string, args: readonly string[], cwd = app): Promise<Ran> {
  const { PATH, HOME, TMPDIR, SystemRoot } = process.env;
  const env = { PATH, HOME, TMPDIR, SystemRoot, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
  return await promisify(execFile)(command, args, { cwd, timeout: 60_000, env });
}

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
}

/** A program of the registry. Where it cannot be had the test is skipped by name, or fails where all is required. */
async function obtained(download: Download, { skip }: TestContext): Promise<string> {
  try {
    return await programOf(download);
  } catch (error) {
    if (required) throw error;
    return skip(`${download.name} ${download.version} cannot be had: ${String(error)}`);
  }
}

// --- the tarball ----------------------------------------------------------------------------------------------------------

describe("the tarball", () => {
  test("holds what the source says, the documents that belong to it, and nothing else", () => {
    const sources = filesIn(join(ROOT, "src")).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
    const modules = sources.map((file) => file.slice(0, -".ts".length));
    const built = modules.flatMap((module) => [`dist/${module}.js`, `dist/${module}.d.ts`]);
    const documents = ["CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "package.json"];
    expect([...project.files.keys()].toSorted()).toEqual([...built, ...documents].toSorted());
  });

  test("is small, and so is every file in it", () => {
    const unpacked = [...project.files.values()].reduce((sum, size) => sum + size, 0);
    const packed = statSync(project.tarball).size;
    const kilobytes = (bytes: number): string => `${Math.round(bytes / 1000)} kB`;
    console.log(`${project.files.size} files, ${kilobytes(packed)} packed, ${kilobytes(unpacked)} unpacked`);
    expect([...project.files].filter(([, size]) => size > LARGEST_FILE)).toEqual([]);
    expect(unpacked).toBeLessThan(LARGEST_PACKAGE);
  });

  test("points at no file that is not in it, and at no path of the machine that built it", () => {
    const installed = join(project.folder, "node_modules/coatcheck");
    const wrong = [...project.files.keys()].filter((file) => {
      const text = readFileSync(join(installed, file), "utf8");
      return text.includes("sourceMappingURL=") || text.includes(ROOT) || text.includes(project.folder);
    });
    expect(wrong).toEqual([]);
  });

  test("passes publint --strict", async () => {
    const publint = join(MODULES, "publint/src/cli.js");
    expect((await run(process.execPath, [publint, "run", project.tarball, "--strict"])).stdout).toContain("All good!");
  });

  // Resolution by node10 knows no `exports`, and no compiler that still has it can be told of the doors. That `require` finds
  // ES modules is what Node 20.19 and later can do, and what the programs below do.
  test("passes are-the-types-wrong, by import, by require and by bundlers", async () => {
    const attw = join(MODULES, "@arethetypeswrong/cli/dist/index.js");
    const rules = ["--profile", "node16", "--ignore-rules", "cjs-resolves-to-esm", "--no-definitely-typed"];
    const { stdout } = await run(process.execPath, [attw, project.tarball, "--format", "json", ...rules]);
    const { analysis } = JSON.parse(stdout) as { analysis: Analysis };
    expect(Object.keys(analysis.entrypoints)).toEqual(Object.keys(project.manifest.exports));
    const found = analysis.problems.filter((problem) => problem.resolutionKind !== "node10");
    expect(new Set(found.map(({ kind }) => kind))).toEqual(new Set(["CJSResolvesToESM"]));
  });
});

interface Analysis {
  readonly entrypoints: Readonly<Record<string, unknown>>;
  readonly problems: readonly { readonly kind: string; readonly resolutionKind?: string }[];
}

// --- the runtimes ---------------------------------------------------------------------------------------------------------

const THREE = ["1", "2", "3"];
const SIX = ["1", "2", "3", "4", "5", "6"];
const KEPT = { tried: storeCases.length, broken: [] };
const NO_SQLITE =
  "TypeError: sqliteStore: a path needs node:sqlite, which is in Node from 22.13 on (also in Bun and Deno); or give the store" +
  " a database of better-sqlite3 or bun:sqlite instead of a path";

/** What every walk comes to; `kept`: and what the kits for stores say. */
const seen = (kept: object): Report["walks"] => ({
  coatcheck: { sealed: THREE, signed: THREE, forged: THREE, failing: 503, error: true, header: true, link: THREE },
  "coatcheck/compat/ktor": {
    signed: `384f8bdb/${createHmac("sha256", Buffer.from(KTOR_KEY, "hex")).update("384f8bdb").digest("hex")}`,
    read: "384f8bdb",
    forged: null,
    decrypted: "name=%23sAda+Lovelace&visits=%23i3",
    form: { name: "Ada Lovelace", visits: 3 },
  },
  "coatcheck/compat/ktor-directory": ['{"visits":3}', true, true, null],
  "coatcheck/csrf": [200, 403, 403],
  "coatcheck/define": {
    visits: THREE,
    unnamed: expect.stringMatching(/^TypeError: protection must be named with coatcheck\/define/) as unknown,
  },
  "coatcheck/express": THREE,
  "coatcheck/express-session": THREE,
  "coatcheck/fastify": THREE,
  "coatcheck/fetch": THREE,
  "coatcheck/forward-auth": [401, 200, "ada"],
  "coatcheck/hono": THREE,
  "coatcheck/koa": THREE,
  "coatcheck/node": {
    guest: ["guest 1", "guest 2"],
    signedIn: ["ada 2", "ada 3"],
    stolen: "guest 1",
    devices: 1,
    signedOut: ["guest 0", "guest 1"],
  },
  "coatcheck/package.json": "coatcheck",
  "coatcheck/server": [201, { visits: 1 }, 404],
  "coatcheck/store/directory": { visits: SIX, ...kept },
  "coatcheck/store/express-session": THREE,
  "coatcheck/store/memory": kept,
  "coatcheck/store/memcached": expect.stringMatching(/^TypeError: memcachedStore/) as unknown,
  "coatcheck/store/mysql": expect.stringMatching(/^TypeError: mysqlStore/) as unknown,
  "coatcheck/store/nats": expect.stringMatching(/^TypeError: natsStore/) as unknown,
  "coatcheck/store/near-cache": THREE,
  "coatcheck/store/postgres": expect.stringMatching(/^TypeError: postgresStore/) as unknown,
  "coatcheck/store/remote": THREE,
  "coatcheck/store/redis": expect.stringMatching(/^TypeError: redisStore/) as unknown,
  "coatcheck/store/sqlite": { visits: SIX, ...kept },
  "coatcheck/testing": { before: THREE, after: THREE },
});

interface Runtime {
  readonly title: string;
  readonly download: Download | undefined;
  readonly args: readonly string[];
  /** What is another on this runtime than on the others. */
  readonly walks?: Report["walks"];
  /** What the runtime itself says on stderr. */
  readonly says?: RegExp;
}

const WITHOUT_SQLITE = { "coatcheck/store/sqlite": NO_SQLITE };

const SQLITE_WARNING =
  /^\(node:\d+\) ExperimentalWarning: SQLite is an experimental feature and might change at any time$|^\(Use `node --trace-warnings/;

const RUNTIMES: readonly Runtime[] = [
  // The oldest that the package takes, and the last of its line.
  { ...node("20.19.0"), walks: WITHOUT_SQLITE },
  { ...node("20.20.2"), walks: WITHOUT_SQLITE },
  { ...node("22.23.3"), says: SQLITE_WARNING },
  { ...node(process.versions.node), download: undefined },
  { title: "Bun 1.4.5", download: bunDownload("1.4.5"), args: [] },
  { title: "Deno 2.9.6", download: denoDownload("2.9.6"), args: ["run", "--allow-all", "--node-modules-dir=manual"] },
];

function node(version: string): Runtime {
  return { title: `Node ${version}`, download: nodeDownload(version), args: ["--pending-deprecation"] };
}

describe.each(RUNTIMES)("on $title", ({ download, args, walks, says }) => {
  test.for<Loading>(["import", "require"])(
    "every door opens by %s, and does what it is for",
    { timeout: 180_000 },
    async (loading, context) => {
      const command = download === undefined ? process.execPath : await obtained(download, context);
      const program = loading === "import" ? "import.mjs" : "require.cjs";
      // It is the same code however it was loaded: the kits run once for each runtime.
      const kits = loading === "import";
      const options: WalkOptions = { folder: mkdtempSync(join(app, "data-")), kits };
      const { stdout, stderr } = await run(command, [...args, program, JSON.stringify(options)]);
      const report = JSON.parse(stdout) as Report;
      expect(report.walks).toEqual({ ...seen(kits ? KEPT : {}), ...walks });
      expect(report.names).toEqual(await namesInSource(loading));
      expect(unexplained(stderr, says)).toEqual([]);
    },
  );
});

/** What we say on stderr: P30. */
const NOTICE =
  /^coatcheck: this is plain http on localhost, so the session "(\w+)" uses the cookie "\1" without Secure; over https it is "__Host-Http-\1"\. Set NODE_ENV=production where this is not a developer's machine\.$/;

/** The lines that nobody expects there: a warning, a deprecation, an error. */
function unexplained(stderr: string, says: RegExp | undefined): readonly string[] {
  return stderr.split("\n").filter((line) => line !== "" && !NOTICE.test(line) && says?.test(line) !== true);
}

/** The names that each door exports, by its source; that they stay the same is the business of exports.test.ts. */
async function namesInSource(loading: Loading): Promise<Report["names"]> {
  const names: Record<string, readonly string[]> = {};
  for (const [door, target] of Object.entries(project.manifest.exports)) {
    const file =
      typeof target === "string" ? target : target.default.replace("./dist/", "src/").replace(/\.js$/, ".ts");
    const module = (await import(join(ROOT, file))) as Record<string, unknown>;
    // By that name a module says itself what `require` gives.
    const forRequire = loading === "require" ? module["module.exports"] : undefined;
    const exported = typeof target === "string" ? module["default"] : (forRequire ?? module);
    names[`coatcheck${door.slice(1)}`] = Object.keys(exported as object).toSorted();
  }
  return names;
}

// --- the compilers --------------------------------------------------------------------------------------------------------

const OUR_COMPILER = join(MODULES, "typescript/lib/tsc.js");

const STRICT = {
  target: "es2023",
  lib: ["es2023"],
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  declaration: true,
  noEmit: true,
};

/** Not all frameworks' types bear the look that a library's have to bear. */
const LOOSE = { module: "nodenext", skipLibCheck: true };

interface Compilation {
  /** Default: the project without frameworks. */
  readonly folder?: string;
  readonly files: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a compiler has to say about files of a project; empty when nothing. */
async function complaints(tsc: string, { folder = project.folder, files, options }: Compilation): Promise<string> {
  const config = { compilerOptions: { ...STRICT, ...options }, files };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  return await run(process.execPath, [tsc, "-p", "."], folder).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string }) => `${error.stdout ?? ""}` || String(error),
  );
}

const RESOLUTIONS: readonly { readonly how: string; readonly compilation: () => Compilation }[] = [
  {
    how: "nodenext, in a module and in CommonJS",
    compilation: () => ({ files: ["doors.mts", "doors.cts", "consumer.ts"], options: { module: "nodenext" } }),
  },
  {
    how: "bundler, with the types of browsers",
    compilation: () => ({
      files: ["doors.mts", "consumer.ts"],
      options: { module: "esnext", moduleResolution: "bundler", lib: ["es2023", "dom", "dom.iterable"] },
    }),
  },
  {
    how: "nodenext, with the types of the frameworks",
    compilation: () => ({ folder: app, files: ["adapters.ts", "front-door.ts"], options: LOOSE }),
  },
];

const COMPILERS: readonly { readonly title: string; readonly download: Download | undefined }[] = [
  { title: "the TypeScript of this repository", download: undefined },
  { title: "TypeScript 5.9.3", download: typescriptDownload("5.9.3") },
];

describe.each(COMPILERS)("$title", ({ download }) => {
  test.for(RESOLUTIONS)("takes the types by $how", { timeout: 120_000 }, async ({ compilation }, context) => {
    const tsc = download === undefined ? OUR_COMPILER : await obtained(download, context);
    expect(await complaints(tsc, compilation())).toBe("");
  });
});

test("the programs that run above are of the right types", () => {
  expect(compiled).toBe("");
});

test("a wrong use of the types is found", async () => {
  writeFileSync(join(project.folder, "wrong.ts"), 'import { sessions } from "coatcheck/express";\nsessions({});\n');
  const said = await complaints(OUR_COMPILER, { files: ["wrong.ts"], options: { module: "nodenext" } });
  expect(said).toMatch(/wrong\.ts\(2,10\): error TS\d+/);
});
