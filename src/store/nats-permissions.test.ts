import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connectNats, NATS_PROGRAMS, startNats } from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { until } from "../../test/servers/server-process.ts";
import { natsStore } from "./nats.ts";

const PAGE = readFileSync(join(import.meta.dirname, "../../docs/stores/nats.md"), "utf8");

/** The permissions that the page gives a user of the app. */
const PERMISSIONS = /permissions: \{[\s\S]*?\n\}/.exec(PAGE)?.[0] ?? "";

describeWithServers(
  "natsStore with a user who may do what docs/stores/nats.md says, and no more,",
  NATS_PROGRAMS,
  () => {
    test("does everything", async ({ onTestFinished }) => {
      const admin = 'user: admin, password: a, permissions: { publish: ">", subscribe: ">" }';
      const servers = await startNats({
        lines: `authorization { users = [{ ${admin} }, { user: app, password: b, ${PERMISSIONS} }] }\n`,
      });
      onTestFinished(() => servers.stop());
      const operator = await connectNats(servers, { user: "admin", pass: "a" });
      onTestFinished(() => operator.close());
      await operator.bucket("sessions");
      const app = await connectNats(servers, { user: "app", pass: "b" });
      onTestFinished(() => app.close());
      await expect(app.bucket("another")).rejects.toThrow();

      const now = Date.now();
      const expiresAt = now + 60_000;
      const store = natsStore(await app.open("sessions"), { sweepInterval: false });
      const heard: string[] = [];
      const end = store.watch((key) => heard.push(key), { restored: () => heard.push("restored") });
      onTestFinished(end);
      await until("a watch", async () => heard.includes("restored"));
      // More than are walked through one by one.
      const keys = Array.from({ length: 100 }, (_, i) => `user/${i}`);
      const record = { version: "1", expiresAt, subject: "user/ada", value: "{}" };
      await Promise.all(keys.map((key) => store.create(key, record, { now })));
      await until("the news", async () => heard.includes("user/99"));
      expect(await store.count("user/", { now })).toBe(100);
      expect(await store.touch("user/1", expiresAt + 1, { now })).toBe(true);
      expect(await store.deleteBySubject("user/ada", { except: "user/1" }, { now })).toHaveLength(99);
      expect(await store.deleteExpired(500, { now: now + 3_600_000 })).toBe(1);
      expect(await store.count("user/", { now })).toBe(0);
    });
  },
);
