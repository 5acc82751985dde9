import { afterAll, beforeAll, test } from "vitest";
import { POSTGRES_PROGRAMS } from "../../test/servers/postgres.ts";
import { REDIS_PROGRAMS } from "../../test/servers/redis.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import {
  type EnginePlace,
  startEngine,
  startStoreServer,
  type StoreEngine,
  type StoreServer,
} from "../../test/servers/store-server.ts";
import { storeCases } from "../testing/store-cases.ts";
import { remoteStore } from "./remote.ts";

let made = 0;

function kit(engine: StoreEngine, programs: readonly string[]): void {
  describeWithServers(`a session server on ${engine}`, programs, () => {
    let place: EnginePlace;
    let server: StoreServer;
    beforeAll(async () => {
      place = await startEngine(engine);
      server = await startStoreServer(place);
    });
    afterAll(async () => {
      await server?.stop();
      await place?.stop();
    });
    // Each case is an application of its own.
    for (const { name, run } of storeCases) {
      test(name, () => run(() => remoteStore(server.url, { credential: `kit${++made}` })));
    }
  });
}

kit("sqlite", []);
kit("redis", REDIS_PROGRAMS);
kit("postgres", POSTGRES_PROGRAMS);
