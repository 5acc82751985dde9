import { describe } from "vitest";
import { startCaddy } from "../servers/caddy.ts";
import { certificates } from "../servers/certificates.ts";
import { programPath } from "../servers/require.ts";
import { forwardAuthCases } from "./forward-auth-cases.ts";
import { PAGES, type StartProxy } from "./forward-auth-site.ts";

const { cert, key } = certificates().server;

const start: StartProxy = async (files, config) => {
  const pages = Object.fromEntries(Object.entries(PAGES).map(([name, text]) => [`site/${name}`, text]));
  const { port, process } = await startCaddy({ ...files, ...pages, "site.pem": cert, "site.key": key }, config);
  return { port, stop: () => process.stop() };
};

// Not one of the servers that the gate requires.
const missing = programPath("caddy") === undefined;
describe.skipIf(missing)(`forward-auth by Caddy${missing ? " (skipped: needs caddy)" : ""}`, () => {
  forwardAuthCases({ file: "Caddyfile", tellsAll: true }, start);
});
