/**
 * What every server of the benchmark on Node has to do.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ask, checkSignIn, lostWrites, seeded, type Target } from "../../bench/client.ts";
import { DATA_BYTES, type Path } from "../../bench/data.ts";
import { setsCookie } from "../../bench/load-process.ts";
import { listenerOf } from "../../bench/listener.ts";
import { siteOf, type Urls } from "../../bench/site.ts";
import type { Subject } from "../../bench/subjects.ts";

/** Starts the server of a subject. */
export type Start = (subject: Subject) => Promise<Target>;

/** Tests subjects. */
export function testSubjects(subjects: readonly Subject[], start: Start): void {
  const withSessions = subjects.filter(({ kind }) => kind !== "bare" && kind !== "control");
  const writing = withSessions.filter((subject) => subject.cold || hasRoute(subject, "write"));
  const reading = withSessions.filter((subject) => !writing.includes(subject));

  test.each(named(subjects))("%s answers every route", async (_name, subject) => {
    const target = await start(subject);
    const [visitor] = await seeded(target, 1);
    expect(await ask(target, "untouched", visitor)).toMatchObject({ body: "untouched" });
    expect(await ask(target, "read", visitor)).toMatchObject({ body: "ada" });
    if (hasRoute(subject, "write")) expect((await ask(target, "write", visitor)).body).toBe("1000001");
    expect((await ask(target, "sign-in")).cookies.length).toBeGreaterThan(0);
  });

  test.each(named(writing))("%s keeps what is written, and apart", async (_name, subject) => {
    const target = await start(subject);
    const visitors = await seeded(target, 2);
    await ask(target, "write", visitors[0]);
    expect(await lostWrites(target, visitors, 1)).toBe(0);
    if (!subject.byValue) expect(await lostWrites(target, visitors, 2)).toBe(1);
    await checkSignIn(target);
  });

  test.each(named(reading))("%s knows who has signed in, and nobody else", async (_name, subject) => {
    const target = await start(subject);
    await checkSignIn(target);
    expect((await ask(target, "read", "")).body).not.toBe("ada");
  });

  test.each(named(subjects.filter(({ ours }) => ours)))(
    "%s sets cookies as the load generator expects it",
    async (_name, subject) => {
      const target = await start(subject);
      const [visitor] = await seeded(target, 1);
      for (const path of ["untouched", "read", "write", "sign-in"] as const) {
        const { cookies } = await ask(target, path, path === "sign-in" ? "" : visitor);
        expect([path, cookies.length > 0]).toEqual([path, setsCookie(subject, path) === "cookie"]);
      }
    },
  );
}

function named(subjects: readonly Subject[]): readonly (readonly [name: string, subject: Subject])[] {
  return subjects.map((subject) => [subject.name, subject] as const);
}

function hasRoute({ routes }: Subject, path: Path): boolean {
  return routes === undefined || routes.some((route) => route === path);
}

/**
 * Starts servers in this process, which are gone when the tests around are over. `urls`: where the servers beside are, by then;
 * what stops those has to be registered before.
 */
export function starter(urls: () => Urls = () => ({})): Start {
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-bench-test-"));
  const servers: Server[] = [];
  const opened: (() => unknown)[] = [];
  afterAll(async () => {
    for (const server of servers) server.closeAllConnections();
    for (const server of servers) server.close();
    await Promise.all(opened.map((end) => end()));
    rmSync(folder, { recursive: true, force: true });
  });
  return async (subject) => {
    const own = mkdtempSync(join(folder, "site-"));
    const text = siteOf({ folder: own, urls: urls(), bytes: DATA_BYTES, sessions: 2 });
    const listener = await listenerOf(subject, { ...text, opened: (end) => void opened.push(end) });
    const server = createServer(listener).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    return { subject, port: (server.address() as AddressInfo).port };
  };
}
