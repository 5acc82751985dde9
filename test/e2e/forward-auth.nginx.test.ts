import { certificates } from "../servers/certificates.ts";
import { startNginx } from "../servers/nginx.ts";
import { describeWithServers } from "../servers/require.ts";
import { forwardAuthCases } from "./forward-auth-cases.ts";
import { PAGES, type StartProxy } from "./forward-auth-site.ts";

const { cert, key } = certificates().server;

const start: StartProxy = async (files, config) => {
  const pages = Object.fromEntries(Object.entries(PAGES).map(([name, text]) => [`site/${name}`, text]));
  const { port, stop } = await startNginx({ ...files, ...pages, "site.pem": cert, "site.key": key }, config);
  return { port, stop };
};

describeWithServers("forward-auth by nginx", ["nginx"], () => {
  forwardAuthCases({ file: "nginx.conf" }, start);
});
