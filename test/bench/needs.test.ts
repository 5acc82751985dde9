import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { startBackends, type Backends } from "../../bench/backends.ts";
import { ask, seeded } from "../../bench/client.ts";
import { COMPARISONS } from "../../bench/comparisons.ts";
import { pinning } from "../../bench/machine.ts";
import { lackOf, NEEDS, needsOf, serverVersions, type Need } from "../../bench/needs.ts";
import { possible, wishOf, type Options } from "../../bench/options.ts";
import { processesOf } from "../../bench/process-time.ts";
import { siteOf, urlOf } from "../../bench/site.ts";
import { SUBJECTS, subjectOf } from "../../bench/subjects.ts";
import { hasTraffic } from "../../bench/traffic.ts";
import { MARIADB_PROGRAMS } from "../servers/mariadb.ts";
import { MEMCACHED_PROGRAMS } from "../servers/memcached.ts";
import { NATS_PROGRAMS } from "../servers/nats.ts";
import { POSTGRES_PROGRAMS } from "../servers/postgres.ts";
import { REDIS_PROGRAMS } from "../servers/redis.ts";
import { describeWithServers, programPath } from "../servers/require.ts";
import { starter, testSubjects } from "./subject-tests.ts";

const PROGRAMS: Readonly<Record<Need, readonly string[]>> = {
  redis: REDIS_PROGRAMS,
  postgres: POSTGRES_PROGRAMS,
  mariadb: MARIADB_PROGRAMS,
  memcached: MEMCACHED_PROGRAMS,
  nats: NATS_PROGRAMS,
};

const FIRST: Readonly<Record<Need, string>> = {
  redis: "express/redis",
  postgres: "express/postgres",
  mariadb: "express/mysql",
  memcached: "express/memcached",
  nats: "express/nats",
};

const folder = mkdtempSync(join(tmpdir(), "coatcheck-bench-test-"));
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function options(...args: readonly string[]): Options {
  const wish = wishOf(args);
  if (!("measure" in wish)) throw new Error("expected something to measure");
  return wish.measure;
}

/** A machine that has these programs and no others. */
function onlyInstalled(...names: readonly string[]): void {
  const path = mkdtempSync(join(folder, "path-"));
  for (const name of ["sh", ...names]) symlinkSync("/bin/sh", join(path, name));
  vi.stubEnv("PATH", path);
}

describe("a server beside", () => {
  test("is started when a chosen subject needs it, and not otherwise", () => {
    expect(needsOf(options().subjects)).toEqual(NEEDS);
    expect(needsOf(options("--quick").subjects)).toEqual([]);
    expect(needsOf(options("--only", "express/memory,koa/koa-session").subjects)).toEqual([]);
    expect(needsOf(options("--only", "express/postgres,express/select-by-hand").subjects)).toEqual(["postgres"]);
    expect(needsOf(options("--only", "express/nats,express/mysql-by-hand").subjects)).toEqual(["mariadb", "nats"]);
  });

  test.each(NEEDS)("that is not installed leaves out who needs it, by name, and nobody else: %s", (need) => {
    const { subjects, setups } = options("--only", `express/memory,${FIRST[need]}`);
    onlyInstalled(...NEEDS.flatMap((each) => (each === need ? [] : PROGRAMS[each])));
    const found = possible(subjects, setups[0]!);
    expect(found.subjects.map(({ name }) => name)).toEqual(["express/bare", "express/memory"]);
    expect(found.leftOut).toHaveLength(1);
    expect(found.leftOut[0]).toMatch(new RegExp(`^Express \\+ coatcheck, by id, \\w+: .+ (?:is|are) not installed$`));
    for (const program of PROGRAMS[need]) expect(found.leftOut[0]).toContain(program);
    expect(needsOf(found.subjects)).toEqual([]);
  });

  test("of which a part is there says what is missing", () => {
    onlyInstalled("postgres");
    expect(lackOf("postgres")).toBe("initdb is not installed");
    onlyInstalled("postgres", "initdb");
    expect(lackOf("postgres")).toBeUndefined();
    onlyInstalled();
    expect(lackOf("postgres")).toBe("postgres and initdb are not installed");
  });

  test("that was not started is told by name to whoever asks for it", () => {
    const site = siteOf({ folder, urls: { redis: "redis://127.0.0.1:1" }, bytes: 113, sessions: 1 });
    expect(urlOf(site, "redis")).toBe("redis://127.0.0.1:1");
    expect(() => urlOf(site, "postgres")).toThrow("postgres was not started");
  });

  test("takes no part in what is counted in the process of the benchmark", () => {
    expect(SUBJECTS.filter(hasTraffic).filter(({ needs }) => needs !== undefined)).toEqual([]);
    expect(hasTraffic(subjectOf("express/memory"))).toBe(true);
  });
});

test("a request over a database is to cost at most half as much again as a SELECT by hand, as a whole", () => {
  const byHand = COMPARISONS.filter(({ peer }) => peer.endsWith("select-by-hand") || peer.endsWith("mysql-by-hand"));
  expect(byHand).toEqual([
    { ours: "express/postgres", peer: "express/select-by-hand", targets: { read: 1.5 }, whole: true },
    { ours: "express/mysql", peer: "express/mysql-by-hand", targets: { read: 1.5 }, whole: true },
  ]);
});

test("subjects have names and labels of their own", () => {
  expect(new Set(SUBJECTS.map(({ name }) => name)).size).toBe(SUBJECTS.length);
  expect(new Set(SUBJECTS.map(({ label }) => label)).size).toBe(SUBJECTS.length);
});

for (const need of NEEDS) {
  describeWithServers(`the benchmark over ${need}`, PROGRAMS[need], () => {
    let backends: Backends | undefined;
    let apart: Backends | undefined;
    beforeAll(async () => {
      backends = await startBackends([need], pinning(1));
      apart = await startBackends([need], pinning(1));
    });
    afterAll(async () => void (await Promise.all([backends?.stop(), apart?.stop()])));
    const start = starter(() => backends?.urls ?? {});
    const startOther = starter(() => apart?.urls ?? {});

    testSubjects(
      SUBJECTS.filter(({ needs }) => needs === need),
      start,
    );

    test.skipIf(pinning(1).length === 0)("leaves the first core to the servers that are measured", () => {
      const [, ...others] = processesOf(process.pid);
      expect(others.length).toBeGreaterThan(0);
      expect(new Set(others.flatMap(coresOf))).toEqual(new Set(["1"]));
    });

    test("has nothing of one setup in another, of the same rounds", async () => {
      const subject = subjectOf(FIRST[need]);
      const [one, other] = [await start(subject), await startOther(subject)];
      const [visitor = ""] = await seeded(one, 1);
      expect((await ask(one, "read", visitor)).body).toBe("ada");
      expect((await ask(other, "read", visitor)).body).not.toBe("ada");
      const [another = ""] = await seeded(other, 1);
      expect((await ask(other, "read", another)).body).toBe("ada");
    });

    test("says which version it was", () => {
      const [[program, version] = [], ...others] = Object.entries(serverVersions([need]));
      expect(PROGRAMS[need]).toContain(program);
      expect(version).toMatch(/^\d+\.\d+/);
      expect(others).toEqual([]);
    });
  });
}

const installed = NEEDS.filter((need) => PROGRAMS[need].every((name) => programPath(name) !== undefined));

describeWithServers("a run of which one server cannot be started", REDIS_PROGRAMS, () => {
  test("leaves none of the others behind", async () => {
    const path = mkdtempSync(join(folder, "path-"));
    symlinkSync(programPath("redis-server") ?? "", join(path, "redis-server"));
    vi.stubEnv("PATH", path);
    await expect(startBackends(["redis", "memcached"], [])).rejects.toThrow("memcached is not installed");
    expect(processesOf(process.pid)).toEqual([process.pid]);
  });
});

test.skipIf(installed.length === 0)("all servers beside run at a time, and are gone when the run is over", async () => {
  const { urls, stop } = await startBackends(installed, []);
  expect(Object.keys(urls)).toEqual(installed);
  const ports = Object.values(urls).map((url) => Number(/:(\d+)(?:\/|$)/.exec(url)?.[1]));
  expect(await Promise.all(ports.map(listens))).toEqual(ports.map(() => true));
  await stop();
  expect(await Promise.all(ports.map(listens))).toEqual(ports.map(() => false));
});

/** On which cores the threads of a process may run. */
function coresOf(pid: number): readonly string[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map(
    (id) => /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`${tasks}/${id}/status`, "utf8"))?.[1] ?? "",
  );
}

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.once("error", () => resolve(false)).once("connect", () => socket.destroy());
  });
}
