import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withSessions } from "../../src/adapter/node.ts";
import { clientCertificate, defineSession } from "../../src/index.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { certificates, type Pair } from "../servers/certificates.ts";
import { startHaproxy, type Haproxy } from "../servers/haproxy.ts";
import { describeWithServers } from "../servers/require.ts";

const pki = certificates();
const device = defineSession<{ reports: number }>({
  name: "device",
  store: memoryStore(),
  transport: clientCertificate({ trustProxy: (peer) => peer === "127.0.0.1" }),
});
const app = createServer(
  withSessions(async (req, res) => {
    const session = await device.from(req);
    if (req.method === "POST") session.update((data) => ({ reports: (data?.reports ?? 0) + 1 }));
    res.end(String(session.data?.reports));
  }, device),
);

async function ask(port: number, method: string, client?: Pair, forged?: string): Promise<string> {
  const headers = forged === undefined ? {} : { "X-Forwarded-Client-Cert": forged };
  const options = { port, method, headers, host: "127.0.0.1", agent: false, rejectUnauthorized: false, ...client };
  const [response] = (await once(request(options).end(), "response")) as [
    AsyncIterable<Buffer> & { statusCode: number },
  ];
  let body = "";
  for await (const chunk of response) body += chunk.toString();
  return response.statusCode === 200 ? body : String(response.statusCode);
}

describeWithServers("a session that follows the client certificate, behind HAProxy", ["haproxy"], () => {
  let proxy: Haproxy;

  beforeAll(async () => {
    app.listen(0, "127.0.0.1");
    await once(app, "listening");
    const { port: appPort } = app.address() as AddressInfo;
    const files = { "server.pem": Buffer.concat([pki.server.cert, pki.server.key]), "ca.pem": pki.ca.cert };
    // The two lines of docs/transports.md.
    proxy = await startHaproxy(
      files,
      (port, directory) => `
defaults
  mode http
  timeout connect 2s
  timeout client 5s
  timeout server 5s
frontend tls
  bind 127.0.0.1:${port} ssl crt ${directory}/server.pem ca-file ${directory}/ca.pem verify optional crt-ignore-err all ca-ignore-err all
  http-request del-header X-Forwarded-Client-Cert
  http-request set-header X-Forwarded-Client-Cert "Hash=%[ssl_c_der,sha2(256),hex,lower]" if { ssl_c_used } { ssl_c_verify 0 }
  default_backend app
backend app
  server one 127.0.0.1:${appPort}
`,
    );
  });

  afterAll(async () => {
    await proxy?.process.stop();
    app.closeAllConnections();
    app.close();
  });

  test("is the same on every connection, and another for another certificate", async () => {
    expect(await ask(proxy.port, "POST", pki.ada)).toBe("1");
    expect(await ask(proxy.port, "POST", pki.ada)).toBe("2");
    expect(await ask(proxy.port, "POST", pki.bob)).toBe("1");
    expect(await ask(proxy.port, "GET", pki.ada)).toBe("2");
  });

  test("is not to be had by a forged header, nor without a verified certificate", async () => {
    const hash = new X509Certificate(pki.ada.cert).fingerprint256.replaceAll(":", "").toLowerCase();
    expect(await ask(proxy.port, "GET", undefined, `Hash=${hash}`)).toBe("undefined");
    expect(await ask(proxy.port, "GET", pki.mallory, `Hash=${hash}`)).toBe("undefined");
    expect(await ask(proxy.port, "GET", pki.bob, `Hash=${hash}`)).toBe("1");
    expect(await ask(proxy.port, "POST", pki.mallory)).toBe("400");
    expect(await ask(proxy.port, "POST")).toBe("400");
  });
});
