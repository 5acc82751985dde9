import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";

import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { gate, get, post, raw, SETTINGS, started } from "../../test/server-testbed.ts";
import { certificates } from "../../test/servers/certificates.ts";
import { rawConnection, rawRequest } from "../../test/servers/raw-http.ts";
import type { Endpoint } from "./endpoint.ts";
import { serverOver } from "./server-over.ts";

describe("a server that stops", () => {
  test("answers what is under way, says that it stops, and then is gone", async () => {
    const waiting = gate<void>();
    const asked = gate<void>();
    const endpoint: Endpoint = async () => {
      asked.open();
      await waiting.promise;
      return { status: 200, body: { done: true } };
    };
    const { server, port } = await started({}, { endpoint });
    const [busy, late, idle, silent] = await Promise.all([1, 2, 3, 4].map(() => rawConnection({ port })));
    if (busy === undefined || late === undefined || idle === undefined || silent === undefined) throw new Error();
    idle.write(raw(get("/healthz")));
    await idle.response();
    busy.write(raw(post("{}")));
    late.write(raw(get("/readyz")).slice(0, -2));
    await asked.promise;
    const closed = server.close();
    late.write("\r\n");
    const unready = await late.response();
    expect(unready).toMatchObject({ status: 503, json: { error: "stopping" } });
    expect(unready.head).toMatch(/^Connection: close$/m);
    await expect(rawConnection({ port })).rejects.toThrow(/ECONNREFUSED/);
    waiting.open();
    const answer = await busy.response();
    expect(answer).toMatchObject({ status: 200, json: { done: true } });
    expect(answer.head).toMatch(/^Connection: close$/m);
    await Promise.all([closed, busy.closed, late.closed, idle.closed, silent.closed]);
  });

  test("cuts off what takes longer than it is given", async () => {
    const asked = gate<void>();
    const endpoint: Endpoint = () => {
      asked.open();
      return new Promise(() => {});
    };
    const { server, port } = await started({}, { endpoint });
    const connection = await rawConnection({ port });
    connection.write(raw(post("{}")));
    await asked.promise;
    await server.close({ within: 0.05 });
    expect((await connection.response()).status).toBe(0);
  });

  test("ends a stream at once: its signal is aborted", async () => {
    const begun = gate<void>();
    const stream: Endpoint = ({ res, signal }) => {
      res.writeHead(200, { "Content-Length": 4 }).write("on");
      signal.addEventListener("abort", () => res.end("ly"));
      begun.open();
      return undefined;
    };
    const { server, port } = await started({ requestTimeout: 20 }, { stream });
    const connection = await rawConnection({ port });
    connection.write(raw(get("/v1/changes")));
    await begun.promise;
    await server.close();
    expect((await connection.response()).body).toBe("only");
  });

  test("may be told to before it ever listened, and twice", async () => {
    const server = serverOver(SETTINGS);
    await server.close();
    const { server: other } = await started();
    await Promise.all([other.close(), other.close()]);
  });
});

describe("a server listens", () => {
  test("on a Unix socket, also where a dead process has left one, but not where a living one is", async () => {
    const path = join(tmpdir(), `coatcheck-${process.pid}.sock`);
    rmSync(path, { force: true });
    const server = serverOver({ ...SETTINGS, credentials: undefined });
    await server.listen({ path });
    expect(server.url).toBe(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await rawRequest({ path }, raw("GET /healthz HTTP/1.1\nHost: anything\n\n"))).status).toBe(200);
    const second = serverOver({ ...SETTINGS, credentials: undefined });
    await expect(second.listen({ path })).rejects.toThrow(/another process does/);
    await server.close();
    await leaveSocketAt(path);
    await second.listen({ path });
    await second.close();
  });

  test("on a Unix socket, and removes nothing that is none", async () => {
    const path = join(tmpdir(), `coatcheck-${process.pid}.txt`);
    writeFileSync(path, "precious");
    const server = serverOver({ ...SETTINGS, credentials: undefined });
    await expect(server.listen({ path })).rejects.toThrow(/there is something else/);
    expect(readFileSync(path, "utf8")).toBe("precious");
    rmSync(path);
  });

  test("on a Unix socket that was never anybody else's, and leaves the umask as it was", async () => {
    const path = join(tmpdir(), `coatcheck-${process.pid}-umask.sock`);
    rmSync(path, { force: true });
    const before = process.umask(0);
    const server = serverOver({ ...SETTINGS, credentials: undefined });
    const listening = server.listen({ path });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(process.umask(before)).toBe(0);
    await listening;
    await server.close();
  });

  test("on a port that is free, and says so when it is not", async () => {
    const { server, port } = await started();
    await expect(server.listen({ host: "127.0.0.1", port: 0 })).rejects.toThrow(/already/);
    const second = serverOver(SETTINGS);
    await expect(second.listen({ host: "127.0.0.1", port })).rejects.toThrow(/another process does/);
    expect(second.url).toBeUndefined();
    await second.listen({ host: "localhost", port: 0 });
    expect(second.url).toMatch(/^http:\/\/localhost:\d+$/);
    await second.close();
  });

  test("by TLS, and shows another certificate when it has got one", async () => {
    const { ca, server: pair, ada } = certificates();
    const server = serverOver(SETTINGS);
    await server.listen({ host: "127.0.0.1", port: 0 }, { tls: pair });
    expect(server.url).toMatch(/^https:/);
    const port = Number(new URL(server.url ?? "").port);
    expect(await nameOfServer(port, ca.cert)).toBe("server");
    expect(() => server.setTls({ cert: "no", key: "no" })).toThrow();
    expect(await nameOfServer(port, ca.cert)).toBe("server");
    server.setTls(ada);
    expect(await nameOfServer(port, ca.cert)).toBe("ada");
    await server.close();
    const { server: plain } = await started();
    expect(() => plain.setTls(pair)).toThrow(TypeError);
  });
});

/** What a process leaves that was killed. */
async function leaveSocketAt(path: string): Promise<void> {
  const { execFileSync } = await import("node:child_process");
  const script = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
  try {
    execFileSync(process.execPath, ["-e", script, path], { stdio: "ignore" });
  } catch {
    // It was killed.
  }
}

function nameOfServer(port: number, ca: Buffer): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const options = {
      port,
      host: "127.0.0.1",
      path: "/healthz",
      ca,
      checkServerIdentity: () => undefined,
      agent: false,
    };
    httpsRequest(options, (res) => {
      res.resume();
      resolve(
        (res.socket as unknown as { getPeerCertificate(): { subject: { CN: string } } }).getPeerCertificate().subject
          .CN,
      );
    })
      .on("error", reject)
      .end();
  });
}
