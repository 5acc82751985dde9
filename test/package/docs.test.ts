import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { sessionAgent, type SessionAgent } from "../../src/testing/session-agent.ts";
import { ensureBuilt } from "../e2e/built.ts";
import {
  blocksIn,
  deadLinks,
  docstringExamples,
  documents,
  ROOT,
  sourceExamples,
  sourceFiles,
  textOf,
  writeExamples,
  type Example,
} from "./docs.ts";

const inDocuments = documents().flatMap((file) => blocksIn(file, textOf(file), "ts"));
const inSource = sourceExamples();

describe("the examples", () => {
  test("type-check, those of the documents and those of the docstrings", { timeout: 120_000 }, async () => {
    const examples = [...inDocuments, ...inSource];
    expect(await compilerErrors(examples)).toBe("");
  });

  test("are there, and none is left out of the check", () => {
    expect(inDocuments.length).toBeGreaterThan(20);
    expect(inSource.length).toBeGreaterThan(10);
    const left = documents().flatMap((file) => blocksIn(file, textOf(file), "ts ignore-check"));
    expect(left.map(({ file, line }) => `${file}:${line}`)).toEqual([]);
  });

  test("have no spelling that the check overlooks", () => {
    const strange = documents().flatMap((file) => fencesBeside(file, textOf(file)));
    expect(strange).toEqual([]);
    const overlooked = sourceFiles().filter((file) => !allExamplesFound(file, textOf(file)));
    expect(overlooked).toEqual([]);
  });

  test("a wrong one would be found, on the line where it stands", { timeout: 120_000 }, async () => {
    const document = "# Title\n\n```ts\nconst one = 1;\none.two();\n```\n";
    const docstring = "/**\n * Text.\n *\n * @example\n * const user = defineSession(7);\n */\n";
    const wrong = [...blocksIn("a.md", document, "ts"), ...docstringExamples("src/b.ts", docstring)];
    const errors = await compilerErrors(wrong);
    expect(errors).toMatch(/a-md-4\.ts\(5,5\)/);
    expect(errors).toMatch(/src-b-ts-5\.ts\(5,/);
  });
});

/** Blocks in a language that nobody checks, and fences that are indented, longer or never closed. */
function fencesBeside(file: string, markdown: string): readonly string[] {
  const known = ["ts", "sh", "conf", "kotlin", "python", "go", "java"].flatMap((info) =>
    blocksIn(file, markdown, info),
  );
  const lines = markdown.split("\n").map((line, index) => ({ line, at: index + 1 }));
  const fences = lines.filter(({ line }) => /^[\s>]*(?:```|~~~)/.test(line));
  const expected = new Set(known.flatMap(({ line, code }) => [line - 1, line + code.split("\n").length - 1]));
  return fences.filter(({ at }) => !expected.has(at)).map(({ line, at }) => `${file}:${at} ${line}`);
}

/** Whether each `@example` of a source file is one of ours, and each fenced block is the only one of an `@example`. */
function allExamplesFound(file: string, source: string): boolean {
  const fences = source.match(/^\s*(?:\/\*)?\* *(?:```|~~~)/gm) ?? [];
  const fenced = source.match(/^\s*\* @example\n\s*\* ```ts\n/gm) ?? [];
  const tags = source.match(/^\s*(?:\/\*)?\* *@example/gm) ?? [];
  return fences.length === 2 * fenced.length && tags.length === docstringExamples(file, source).length;
}

/** What the compiler says of the examples; empty when it has no complaint. */
async function compilerErrors(examples: readonly Example[]): Promise<string> {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const cache = join(ROOT, "node_modules/.cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "coatcheck-docs-"));
  try {
    await writeExamples(folder, examples);
    await promisify(execFile)(process.execPath, [tsc, "--noEmit", "-p", folder], { cwd: ROOT });
    return "";
  } catch (error) {
    return String((error as { stdout?: string }).stdout ?? error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("the README's first example", () => {
  const stop: (() => Promise<void>)[] = [];
  afterAll(async () => {
    for (const end of stop) await end();
  });

  test("runs as pasted: it counts, signs in, survives a restart, signs out", { timeout: 180_000 }, async () => {
    const [example] = blocksIn("README.md", textOf("README.md"), "ts");
    await ensureBuilt();
    const folder = installed(example?.code ?? "");
    stop.push(async () => rmSync(folder, { recursive: true, force: true }));
    const port = await freePort();

    const first = await started(folder, port);
    stop.push(first.end);
    const agent = sessionAgent(`http://localhost:${port}`);
    expect(await shown(agent)).toMatchObject({ visits: 1, subject: null });
    expect(await shown(agent)).toMatchObject({ visits: 2, subject: null });
    const guest = agent.clone();
    expect((await agent.fetch("/login", { method: "POST" })).status).toBe(303);
    expect(await shown(agent)).toMatchObject({ visits: 3, subject: "ada" });
    expect(await shown(guest)).toMatchObject({ subject: null });
    await first.end();

    const second = await started(folder, port);
    stop.push(second.end);
    expect(await shown(agent)).toMatchObject({ visits: 4, subject: "ada" });
    expect((await agent.fetch("/logout", { method: "POST" })).status).toBe(303);
    expect(await shown(agent)).toMatchObject({ visits: 1, subject: null });
  });
});

/** A folder as the tour leaves it: `server.mts`, and coatcheck and express installed. Node runs no TypeScript in node_modules. */
function installed(code: string): string {
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-tour-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(ROOT, join(folder, "node_modules/coatcheck"), "dir");
  symlinkSync(join(ROOT, "node_modules/express"), join(folder, "node_modules/express"), "dir");
  writeFileSync(join(folder, "package.json"), '{ "type": "commonjs" }\n');
  writeFileSync(join(folder, "server.mts"), code);
  return folder;
}

interface Tour {
  end(): Promise<void>;
}

async function started(folder: string, port: number): Promise<Tour> {
  const env = { ...process.env, PORT: String(port), NODE_ENV: "development" };
  const server = spawn(process.execPath, ["server.mts"], { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  server.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const gone = once(server, "exit");
  for (let tries = 0; !(await answers(port)); tries++) {
    if (isOver(server) || tries > 300) throw new Error(`the tour does not start:\n${said}`);
    await sleep(50);
  }
  return {
    async end() {
      if (!isOver(server)) server.kill("SIGTERM");
      await gone;
    },
  };
}

function isOver({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

async function answers(port: number): Promise<boolean> {
  return await fetch(`http://localhost:${port}/nothing-here`).then(
    () => true,
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function shown(agent: SessionAgent): Promise<unknown> {
  const response = await agent.fetch("/");
  expect(response.status).toBe(200);
  return await response.json();
}

describe("the documents", () => {
  test.each(documents())("%s has no dead link", (file) => {
    expect(deadLinks(file, textOf(file))).toEqual([]);
  });

  test.each(documents())("%s names no file that is not there", (file) => {
    const named = textOf(file).matchAll(/`((?:src|test|examples|bench|docs)\/[\w./-]+\.\w+)`/g);
    const missing = [...named].map(([, path = ""]) => path).filter((path) => textOrNothing(path) === undefined);
    expect(missing).toEqual([]);
  });

  test("docs/options.md has a row for every option", () => {
    const page = textOf("docs/options.md");
    const interfaces = {
      "src/definition.ts": ["SessionOptions"],
      "src/transport/cookie-options.ts": ["CookieOptions"],
      "src/transport/header.ts": ["HeaderOptions"],
      "src/protection/seal.ts": ["SealOptions"],
      "src/protection/sign.ts": ["SignOptions"],
      "src/store/memory.ts": ["MemoryStoreOptions"],
      "src/store/directory.ts": ["DirectoryStoreOptions"],
      "src/store/sqlite.ts": ["SqliteStoreOptions"],
      "src/store/redis.ts": ["RedisStoreOptions"],
      "src/store/postgres.ts": ["PostgresStoreOptions"],
      "src/store/mysql.ts": ["MysqlStoreOptions"],
      "src/store/memcached.ts": ["MemcachedStoreOptions"],
      "src/store/nats.ts": ["NatsStoreOptions"],
      "src/store/near-cache.ts": ["NearCacheOptions"],
      "src/store/remote.ts": ["RemoteStoreOptions"],
      "src/server/session-server.ts": ["SessionPolicy", "SessionServerOptions", "ListenOptions"],
      "src/adapter/forward-auth-options.ts": ["ForwardAuthOptions"],
    };
    const missing = Object.entries(interfaces).flatMap(([file, names]) =>
      names.flatMap((name) =>
        optionsOf(textOrNothing(file) ?? "", name)
          .filter((option) => !page.includes(`| \`${option}\``))
          .map((option) => `${name}.${option}`),
      ),
    );
    expect(missing).toEqual([]);
  });

  test("every error code, event and reason is explained", () => {
    const events = textOf("src/session/events.ts");
    const codes = [...textOf("src/errors.ts").matchAll(/^ {2}\| "(ERR_SESSION_\w+)"/gm)].map(([, code = ""]) => code);
    const types = [...events.matchAll(/^ {2}\| "([\w-]+)"/gm)].map(([, word = ""]) => word);
    expect(codes.length).toBe(7);
    expect(types.length).toBeGreaterThan(20);
    expect(codes.filter((code) => !textOf("README.md").includes(`\`${code}\``))).toEqual([]);
    expect(types.filter((word) => !textOf("docs/guide.md").includes(`\`${word}\``))).toEqual([]);
  });
});

function textOrNothing(file: string): string | undefined {
  try {
    return textOf(file);
  } catch {
    return undefined;
  }
}

/** The public options of an interface, by its source. */
function optionsOf(source: string, name: string): readonly string[] {
  const body = new RegExp(`interface ${name} \\{([\\s\\S]*?)^\\}`, "m").exec(source)?.[1] ?? "";
  return [...body.replaceAll(/\/\*\* @internal.*\n.*/g, "").matchAll(/^ {2}readonly (\w+)\??:/gm)].map(
    ([, option = ""]) => option,
  );
}
