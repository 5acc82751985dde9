import { afterAll, beforeAll, test } from "vitest";
import {
  connectNats,
  NATS_CLUSTER_PROGRAMS,
  NATS_PROGRAMS,
  startNats,
  startNatsCluster,
  type NatsClient,
  type NatsServers,
} from "../../test/servers/nats.ts";
import { describeWithServers } from "../../test/servers/require.ts";
import { storeCases } from "../testing/store-cases.ts";
import { natsStore, type NatsBucket } from "./nats.ts";

function kit(title: string, programs: readonly string[], start: () => Promise<NatsServers>): void {
  describeWithServers(title, programs, () => {
    let servers: NatsServers;
    let client: NatsClient;
    let bucket: NatsBucket;
    beforeAll(async () => {
      servers = await start();
      client = await connectNats(servers);
      bucket = await client.bucket("sessions");
    });
    afterAll(async () => {
      await client?.close();
      await servers?.stop();
    });

    for (const { name, run } of storeCases) test(name, () => run(() => natsStore(bucket)));
  });
}

kit("one server", NATS_PROGRAMS, startNats);
kit("a cluster of three", NATS_CLUSTER_PROGRAMS, startNatsCluster);
