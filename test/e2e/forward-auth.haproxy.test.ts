import { certificates } from "../servers/certificates.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { describeWithServers } from "../servers/require.ts";
import { forwardAuthCases } from "./forward-auth-cases.ts";
import type { StartProxy } from "./forward-auth-site.ts";

const { cert, key } = certificates().server;

const start: StartProxy = async (files, config) => {
  const proxy = await startHaproxy({ ...files, "site.pem": Buffer.concat([cert, key]) }, config);
  return { port: proxy.port, stop: () => proxy.process.stop() };
};

describeWithServers("forward-auth by HAProxy", ["haproxy"], () => {
  forwardAuthCases({ file: "haproxy.cfg", more: ["forward-auth.lua"] }, start);
});
