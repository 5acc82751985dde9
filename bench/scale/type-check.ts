/**
 * How long the compiler needs for a small application, with sessions and without.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** What the compiler says of one application. */
export interface TypeCheck {
  /** Seconds, the least of the runs. */
  readonly seconds: number;
  readonly mebibytes: number;
  readonly instantiations: number;
}

const ROOT = join(import.meta.dirname, "../..");
const RUNS = 3;

const PLAIN = `import { createServer } from "node:http";
createServer((req, res) => res.end(req.url)).listen(3000);
`;

const WITH_SESSIONS = `import { createServer } from "node:http";
import { cookie, defineSession, type Session } from "coatcheck";
import { withSessions } from "coatcheck/node";
import { memoryStore } from "coatcheck/store/memory";

interface Visitor { readonly name: string; readonly cart: readonly { readonly sku: string; readonly count: number }[] }
const user = defineSession<Visitor>({ name: "user", store: memoryStore(), transport: cookie({ sameSite: "strict" }) });
const prefs = defineSession<{ theme: string }>({ name: "prefs", keys: process.env["SESSION_KEYS"], revocation: "none" });

function add(session: Session<Visitor>, sku: string): void {
  session.update((data) => ({ name: data?.name ?? "", cart: [...(data?.cart ?? []), { sku, count: 1 }] }));
}

createServer(
  withSessions(async (req, res) => {
    const [session, { data }] = [await user.from(req), await prefs.from(req)];
    add(session, "apple");
    if (req.url === "/sign-in") session.authenticate("ada");
    res.end(\`\${data?.theme} \${session.data?.cart.length}\`);
  }, user, prefs),
).listen(3000);
`;

/** Checks an application with sessions, as its developer would, and the same without. `folder` must be empty. */
export async function typeChecks(folder: string): Promise<{ with: TypeCheck; without: TypeCheck }> {
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(ROOT, join(folder, "node_modules/coatcheck"));
  for (const name of ["@types", "undici-types"]) {
    symlinkSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name));
  }
  return {
    with: await checked(join(folder, "with"), WITH_SESSIONS),
    without: await checked(join(folder, "without"), PLAIN),
  };
}

async function checked(folder: string, code: string): Promise<TypeCheck> {
  mkdirSync(folder);
  const compilerOptions = { strict: true, noEmit: true, module: "NodeNext", target: "ES2023", types: ["node"] };
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["app.ts"] }));
  writeFileSync(join(folder, "app.ts"), code);
  const runs: TypeCheck[] = [];
  for (let run = 0; run < RUNS; run++) runs.push(await compiled(folder));
  return runs.reduce((best, run) => (run.seconds < best.seconds ? run : best));
}

async function compiled(folder: string): Promise<TypeCheck> {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, "-p", folder, "--extendedDiagnostics"]);
  const figure = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+([\\d.]+)`, "m").exec(stdout)?.[1];
    if (found === undefined) throw new Error(`the compiler did not tell its ${name}:\n${stdout}`);
    return Number(found);
  };
  return {
    seconds: figure("Total time"),
    mebibytes: Math.round(figure("Memory used") / 1024),
    instantiations: figure("Instantiations"),
  };
}
