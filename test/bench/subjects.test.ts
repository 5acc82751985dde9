import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ask, checkSignIn, lostWrites, seeded, type Target } from "../../bench/client.ts";
import { DATA_BYTES, type Path } from "../../bench/data.ts";
import { setsCookie } from "../../bench/load-process.ts";
import { listenerOf } from "../../bench/listener.ts";
import { siteOf } from "../../bench/site.ts";
import { isOnNode, SUBJECTS, type Subject } from "../../bench/subjects.ts";

const folder = mkdtempSync(join(tmpdir(), "coatcheck-bench-test-"));
const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) server.closeAllConnections();
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function started(subject: Subject): Promise<Target> {
  const own = mkdtempSync(join(folder, "site-"));
  const site = siteOf({ folder: own, redisPort: 0, bytes: DATA_BYTES, sessions: 2 });
  const server = createServer(await listenerOf(subject, site)).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return { subject, port: (server.address() as AddressInfo).port };
}

function hasRoute({ routes }: Subject, path: Path): boolean {
  return routes === undefined || routes.some((route) => route === path);
}

const alone = SUBJECTS.filter(({ host, needsRedis }) => isOnNode(host) && !needsRedis);
const withSessions = alone.filter(({ kind }) => kind !== "bare" && kind !== "control");
const writing = withSessions.filter((subject) => subject.cold || hasRoute(subject, "write"));
const reading = withSessions.filter((subject) => !writing.includes(subject));

describe("every server of the benchmark on Node", () => {
  test.each(alone.map((subject) => [subject.name, subject] as const))(
    "%s answers every route",
    async (_name, subject) => {
      const target = await started(subject);
      const [visitor] = await seeded(target, 1);
      expect(await ask(target, "untouched", visitor)).toMatchObject({ body: "untouched" });
      expect(await ask(target, "read", visitor)).toMatchObject({ body: "ada" });
      if (hasRoute(subject, "write")) expect((await ask(target, "write", visitor)).body).toBe("1000001");
      expect((await ask(target, "sign-in")).cookies.length).toBeGreaterThan(0);
    },
  );

  test.each(writing.map((subject) => [subject.name, subject] as const))(
    "%s keeps what is written, and apart",
    async (_name, subject) => {
      const target = await started(subject);
      const visitors = await seeded(target, 2);
      await ask(target, "write", visitors[0]);
      expect(await lostWrites(target, visitors, 1)).toBe(0);
      if (!subject.byValue) expect(await lostWrites(target, visitors, 2)).toBe(1);
      await checkSignIn(target);
    },
  );

  test.each(reading.map((subject) => [subject.name, subject] as const))(
    "%s knows who has signed in, and nobody else",
    async (_name, subject) => {
      const target = await started(subject);
      await checkSignIn(target);
      expect((await ask(target, "read", "")).body).not.toBe("ada");
    },
  );

  test.each(alone.filter(({ ours }) => ours).map((subject) => [subject.name, subject] as const))(
    "%s sets cookies as the load generator expects it",
    async (_name, subject) => {
      const target = await started(subject);
      const [visitor] = await seeded(target, 1);
      for (const path of ["untouched", "read", "write", "sign-in"] as const) {
        const { cookies } = await ask(target, path, path === "sign-in" ? "" : visitor);
        expect([path, cookies.length > 0]).toEqual([path, setsCookie(subject, path) === "cookie"]);
      }
    },
  );
});
