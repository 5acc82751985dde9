import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../src");

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const files = readdirSync(ROOT, { recursive: true, encoding: "utf8" })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .toSorted();

const imports: readonly Import[] = files.flatMap((from) => {
  const source = readFileSync(join(ROOT, from), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const statements = source.matchAll(
    /^(?:import|export)\s+(type\s+)?([^"';]*?)\s*from\s+"([^"]+)"|^import\s+"([^"]+)"/gm,
  );
  return [...statements].map(([, type, names = "", target = "", bare]) => {
    const to = bare ?? target;
    const inner = /^\{([^}]*)\}$/.exec(names.trim())?.[1];
    const allTypes =
      inner !== undefined && inner.split(",").every((name) => name.trim() === "" || /^type\s/.test(name.trim()));
    return {
      from,
      to: to.startsWith(".") ? posix.normalize(posix.join(dirname(from), to)) : to,
      typeOnly: type !== undefined || allTypes,
    };
  });
});

const manifest = JSON.parse(readFileSync(join(ROOT, "../package.json"), "utf8")) as {
  exports: Record<string, unknown>;
};

/** The leaves that the root door exports. */
const ROOT_LEAVES = ["transport/cookie.ts", "transport/header.ts", "protection/seal.ts", "protection/sign.ts"];

/** `session/manager.ts` → `session`; a file at the root is its own room. */
function roomOf(file: string): string {
  return file.includes("/") ? (file.split("/")[0] as string) : file;
}

/** The public doors that the apps of this package go through, by their files. */
const DOORS_FOR_APPS = [
  "index.ts",
  "adapter/node.ts",
  "adapter/forward-auth.ts",
  "server/session-server.ts",
  "store/mysql.ts",
  "store/postgres.ts",
  "store/redis.ts",
  "store/sqlite.ts",
];

/** Of which rooms a room may use values (design §4). `errors.ts` and `internal` are everybody's. */
const MAY_USE: Readonly<Record<string, readonly string[]>> = {
  internal: [],
  "errors.ts": [],
  session: ["transport/transport.ts"],
  transport: ["transport"],
  protection: ["protection"],
  store: ["store", "express-session"],
  adapter: ["adapter", "session", "express-session"],
  "express-session": ["express-session", "session", "store/memory.ts", "transport/cookie-syntax.ts"],
  csrf: ["csrf", "session", "transport/forwarded.ts"],
  compat: ["compat", "transport"],
  testing: ["testing", "store/store.ts", "transport", "protection/key-ring.ts", "define-session.ts"],
  "definition.ts": ["session", "transport", "protection", "check-options.ts", "trust.ts", "revocation.ts"],
  "revocation.ts": ["session"],
  "define-session.ts": ["definition.ts", "protection/seal.ts"],
  "define.ts": ["definition.ts"],
  "check-options.ts": ["session/token.ts", "protection/key-ring.ts", "trust.ts"],
  "trust.ts": ["protection/key-ring.ts"],
  server: ["server", ...DOORS_FOR_APPS],
  cli: ["cli", ...DOORS_FOR_APPS],
  "index.ts": ["define-session.ts", "definition.ts", "transport", "protection", "session"],
};

function allowed({ from, to }: Import): boolean {
  if (!to.endsWith(".ts")) return true;
  const room = roomOf(from);
  const everyone = to === "errors.ts" || roomOf(to) === "internal";
  const own = room === roomOf(to) && room === "session";
  return everyone || own || (MAY_USE[room] ?? []).some((entry) => to === entry || to.startsWith(`${entry}/`));
}

describe("the rooms", () => {
  test("every file is in a room of the design", () => {
    expect(files.filter((file) => MAY_USE[roomOf(file)] === undefined)).toEqual([]);
    expect(files.length).toBeGreaterThan(30);
  });

  test("values are imported only from where a room may look", () => {
    const wrong = imports.filter((entry) => !entry.typeOnly && !allowed(entry));
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  test("the heart sees contracts as types, never a leaf", () => {
    const contracts = new Set([
      "transport/transport.ts",
      "protection/protection.ts",
      "protection/token-mac.ts",
      "store/store.ts",
    ]);
    const leaves = imports.filter(
      ({ from, to }) =>
        roomOf(from) === "session" && /^(transport|protection|store|adapter|testing)\//.test(to) && !contracts.has(to),
    );
    expect(leaves.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  test("a leaf never sees another leaf of its room", () => {
    const doors = Object.keys(manifest.exports).map((door) => `${door.slice(2)}.ts`);
    const leaves = new Set([...doors, ...doors.map((door) => `adapter/${door}`), ...ROOT_LEAVES]);
    const sideways = imports.filter(({ from, to }) => roomOf(from) === roomOf(to) && leaves.has(to));
    expect(sideways.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  test("nobody but an app imports an adapter, and nobody the kits or an app", () => {
    const apps = new Set(["server", "cli"]);
    const wrong = imports.filter(
      ({ from, to }) =>
        roomOf(from) !== roomOf(to) &&
        (to.startsWith("testing/") || (!apps.has(roomOf(from)) && /^(adapter|server|cli)\//.test(to))),
    );
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  test("the root door needs the web platform only", () => {
    const reached = new Set<string>(["index.ts"]);
    for (const file of reached) {
      for (const { from, to, typeOnly } of imports) if (from === file && !typeOnly) reached.add(to);
    }
    const packages = [...reached].filter((file) => !file.endsWith(".ts"));
    expect(packages).toEqual(["cookie"]);
    expect([...reached].some((file) => file.startsWith("store/") && file !== "store/store.ts")).toBe(false);
  });

  test("only the doors that need Node import it", () => {
    const users = new Set(
      imports.filter(({ to, typeOnly }) => to.startsWith("node:") && !typeOnly).map(({ from }) => from),
    );
    expect(
      [...users].filter(
        (file) =>
          !/^(cli\/|server\/|compat\/ktor-directory|express-session\/|store\/directory|store\/nats-text|store\/sqlite|testing\/)/.test(
            file,
          ),
      ),
    ).toEqual([]);
  });

  test("a definition that only signs carries no encryption", () => {
    const reached = new Set<string>(["protection/sign.ts"]);
    for (const file of reached)
      for (const { from, to, typeOnly } of imports) if (from === file && !typeOnly) reached.add(to);
    const sources = [...reached]
      .filter((file) => file.endsWith(".ts"))
      .map((file) => readFileSync(join(ROOT, file), "utf8"));
    expect(sources.join("\n")).not.toMatch(/aes-256-gcm|AES-GCM/);
  });

  test("no default exports, no enums, no barrels below the doors", () => {
    for (const file of files) {
      const source = readFileSync(join(ROOT, file), "utf8");
      expect(source, relative(ROOT, file)).not.toMatch(/^export default|^export (?:const )?enum|^export \* from/m);
    }
  });
});
