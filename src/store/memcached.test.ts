import { afterAll, beforeAll, describe, test } from "vitest";
import { MEMCACHED_CLIENTS, type ConnectedMemcached } from "../../test/servers/memcached-clients.ts";
import { MEMCACHED_PROGRAMS, startMemcached, type MemcachedServer } from "../../test/servers/memcached.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { storeCases } from "../testing/store-cases.ts";
import { memcachedStore } from "./memcached.ts";

/** The kit has a value of a megabyte. */
const LARGE = { server: ["-I", "4m"], maxValueBytes: 3_000_000 };

let made = 0;

function kit(title: string, servers: number, clients: readonly string[]): void {
  describeWithServers(title, MEMCACHED_PROGRAMS, () => {
    let running: readonly MemcachedServer[] = [];
    beforeAll(async () => {
      running = await Promise.all(Array.from({ length: servers }, () => startMemcached(LARGE.server)));
    });
    afterAll(() => Promise.all(running.map(({ stop }) => stop())));

    describe.each(clients)("%s:", (name) => {
      let connected: ConnectedMemcached;
      beforeAll(() => {
        connected = MEMCACHED_CLIENTS[name]!(running.map(({ port }) => port));
      });
      afterAll(() => connected?.close());

      for (const { name: promise, run, capability } of storeCases) {
        if (capability !== undefined) continue;
        test(promise, () =>
          run(() => memcachedStore(connected.client, { prefix: `t${++made}:`, maxValueBytes: LARGE.maxValueBytes })),
        );
      }
    });
  });
}

kit("a single server", 1, Object.keys(MEMCACHED_CLIENTS));
kit("three servers", 3, ["memjs", "memcached"]);
