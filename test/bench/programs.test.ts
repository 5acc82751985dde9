import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ask, checkSignIn, checkWrite, lostWrites, seeded } from "../../bench/client.ts";
import { DATA_BYTES } from "../../bench/data.ts";
import { processesOf, processTime } from "../../bench/process-time.ts";
import { startServer, type ServerProcess } from "../../bench/server-process.ts";
import { isOnNode, obstacleTo, SUBJECTS, type Subject } from "../../bench/subjects.ts";

/** Some are compiled first. */
const PATIENCE_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), "coatcheck-bench-test-"));
const servers: ServerProcess[] = [];
afterAll(async () => {
  await Promise.all(servers.map((server) => server.end()));
  rmSync(folder, { recursive: true, force: true });
});

async function started(subject: Subject): Promise<ServerProcess> {
  const site = { folder: mkdtempSync(join(folder, "site-")), urls: {}, bytes: DATA_BYTES, sessions: 2 };
  const server = await startServer(subject, { site, profiles: undefined });
  servers.push(server);
  return server;
}

const programs = SUBJECTS.filter(({ host }) => !isOnNode(host));

describe("every server in another language", () => {
  for (const subject of programs) {
    const obstacle = obstacleTo(subject, DATA_BYTES);
    const title = `${subject.name} answers every route, and keeps what is written`;
    test.skipIf(obstacle !== undefined)(
      obstacle === undefined ? title : `${title} (skipped: ${obstacle})`,
      async () => {
        const server = await started(subject);
        const [visitor = "", other = ""] = await seeded(server, 2);
        expect(await ask(server, "untouched", visitor)).toMatchObject({ body: "untouched" });
        expect(await ask(server, "read", visitor)).toMatchObject({ body: "ada" });
        expect((await ask(server, "sign-in")).cookies.length).toBeGreaterThan(0);
        if (subject.kind === "bare") {
          expect(await ask(server, "write", visitor)).toEqual({ body: "1000001", cookies: [] });
          return;
        }
        if (!subject.byValue) await checkWrite(server, visitor);
        expect(await lostWrites(server, [visitor, other], 1)).toBe(0);
        await checkSignIn(server);
      },
      PATIENCE_MS,
    );
  }
});

/** Two processes: one that waits, and one below it that works for a while, says what that took, and rests. */
const WORK = `
  const until = performance.now() + 300;
  while (performance.now() < until);
  setTimeout(() => {
    const { user, system } = process.cpuUsage();
    console.log(user + system);
    process.stdin.resume();
  }, 20);
`;

test.skipIf(!existsSync("/proc/self/schedstat"))(
  "the CPU time of a process has what those below it have used, and they end together",
  async () => {
    const child = spawn("sh", ["-c", '"$0" -e "$1" <&3 & wait', process.execPath, WORK], {
      stdio: ["ignore", "pipe", "inherit", "pipe"],
    });
    const time = processTime(child.pid ?? 0);
    const [said] = (await once(child.stdout!, "data")) as [Buffer];
    const used = Number(said.toString());
    expect(used).toBeGreaterThan(10_000);
    expect(time()).toBeGreaterThan(used * 0.95);
    expect(time()).toBeLessThan(used * 1.05 + 50_000);
    expect(processesOf(child.pid ?? 0)).toHaveLength(2);
    child.stdio[3]?.destroy();
    await once(child, "exit");
    expect(processesOf(child.pid ?? 0)).toEqual([child.pid]);
  },
);

const forking = programs.find(({ name }) => name === "flask/bare")!;
const missing = obstacleTo(forking, DATA_BYTES);

test.skipIf(missing !== undefined)(`a server that ends leaves no process (${missing ?? forking.name})`, async () => {
  const server = await started(forking);
  const processes = processesOf(server.pid);
  expect(processes.length).toBeGreaterThan(1);
  await server.end();
  expect(processes.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
  await server.end();
});
