import { certificates } from "../servers/certificates.ts";
import { startNginx } from "../servers/nginx.ts";
import { REDIS_PROGRAMS } from "../servers/redis.ts";
import { describeWithServers } from "../servers/require.ts";
import { stickyCases } from "./sticky-cases.ts";
import type { StartBalancer } from "./sticky-fleet.ts";

const { cert, key } = certificates().server;

const start: StartBalancer = async (config) => {
  const proxy = await startNginx({ "site.pem": cert, "site.key": key }, config);
  return { port: proxy.port, reload: (text) => proxy.reload(text), stop: () => proxy.stop() };
};

describeWithServers("nginx by the route cookie", ["nginx", ...REDIS_PROGRAMS], () => {
  stickyCases("nginx-cookie.conf", start, "cookie");
});

describeWithServers("nginx by the session's id", ["nginx", ...REDIS_PROGRAMS], () => {
  stickyCases("nginx-hash.conf", start, "hash");
});
