import { certificates } from "../servers/certificates.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { REDIS_PROGRAMS } from "../servers/redis.ts";
import { describeWithServers } from "../servers/require.ts";
import { stickyCases } from "./sticky-cases.ts";
import type { StartBalancer } from "./sticky-fleet.ts";

const { cert, key } = certificates().server;

const start: StartBalancer = async (config) => {
  const proxy = await startHaproxy({ "site.pem": Buffer.concat([cert, key]) }, config);
  return { port: proxy.port, stop: () => proxy.process.stop() };
};

describeWithServers("HAProxy by the route cookie", ["haproxy", ...REDIS_PROGRAMS], () => {
  stickyCases("haproxy-cookie.cfg", start, "cookie");
});

describeWithServers("HAProxy by the session's id", ["haproxy", ...REDIS_PROGRAMS], () => {
  stickyCases("haproxy-hash.cfg", start, "hash");
});
