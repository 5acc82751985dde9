import { describe, expect, test } from "vitest";
import { isSessionError } from "../errors.ts";
import { clientCertificate } from "./client-certificate.ts";
import type { RequestView } from "./transport.ts";

const CONTEXT = { name: "device", byValue: false };
const [ADA, BOB] = ["a1".repeat(32), "b0".repeat(32)];

function request(more: Partial<RequestView> & { forwarded?: string }): RequestView {
  const { forwarded, ...rest } = more;
  const header = (name: string): string | undefined => (name === "x-forwarded-client-cert" ? forwarded : undefined);
  return { header, method: "GET", url: "/", secure: true, peer: "192.0.2.1", ...rest };
}

describe("clientCertificate()", () => {
  test("reads the certificate of the connection, and no header that anybody could send", () => {
    const bound = clientCertificate().bind(CONTEXT);
    expect(bound.read(request({ certificate: ADA, forwarded: `Hash=${BOB}` }))).toEqual([ADA]);
    expect(bound.read(request({ forwarded: `Hash=${BOB}` }))).toEqual([]);
    expect(bound.vary).toBeUndefined();
  });

  test("hands nothing out, renews nothing, and keeps shared caches away", () => {
    const bound = clientCertificate().bind(CONTEXT);
    expect(bound.send(request({}), { token: "a", endsAt: undefined, now: 0 })).toEqual([]);
    expect(bound.clear(request({}))).toEqual([]);
    expect([bound.renews, bound.identifies]).toEqual([false, true]);
    expect(bound.always).toEqual([{ name: "Cache-Control", value: "private", mode: "merge" }]);
  });

  test("says what is missing when there is nobody to keep a session for", () => {
    const bound = clientCertificate().bind(CONTEXT);
    expect(() => bound.check(request({ certificate: ADA }))).not.toThrow();
    const error = errorOf(() => bound.check(request({})));
    expect(isSessionError(error) && [error.code, error.status]).toEqual(["ERR_SESSION_INSECURE", 400]);
    expect(String(error)).toContain("requestCert: true");
    const proxied = clientCertificate({ trustProxy: true }).bind(CONTEXT);
    expect(String(errorOf(() => proxied.check(request({ certificate: ADA }))))).toContain("X-Forwarded-Client-Cert");
  });

  test("refuses what cannot work, naming the option", () => {
    expect(() => clientCertificate({ trustProxy: "yes" as never })).toThrow(/"trustProxy"/);
    expect(() => clientCertificate({ trust: true } as never)).toThrow(/trust is not an option/);
    expect(() => clientCertificate().bind({ name: "device", byValue: true })).toThrow(/needs a store/);
  });

  test("describes itself as plain data", () => {
    expect(clientCertificate().bind(CONTEXT).describe()).toEqual({ kind: "clientCertificate", trustProxy: false });
    const described = clientCertificate({ trustProxy: () => true })
      .bind(CONTEXT)
      .describe();
    expect(described).toEqual({ kind: "clientCertificate", trustProxy: "function" });
  });
});

describe("behind a proxy that ends TLS", () => {
  const trustProxy = (peer: string): boolean => peer === "10.0.0.1";
  const read = (more: Parameters<typeof request>[0]): readonly string[] =>
    clientCertificate({ trustProxy }).bind(CONTEXT).read(request(more));

  test("only the trusted peer's header counts, and not the certificate of the proxy itself", () => {
    expect(read({ peer: "10.0.0.1", forwarded: `Hash=${ADA}`, certificate: BOB })).toEqual([ADA]);
    expect(read({ peer: "10.0.0.1", certificate: BOB })).toEqual([]);
    expect(read({ peer: "192.0.2.1", forwarded: `Hash=${ADA}` })).toEqual([]);
    expect(read({ peer: undefined, forwarded: `Hash=${ADA}` })).toEqual([]);
    expect(read({ peer: undefined, forwarded: `Hash=${ADA}`, certificate: BOB })).toEqual([]);
    expect(read({ peer: "192.0.2.1", forwarded: `Hash=${ADA}`, certificate: BOB })).toEqual([BOB]);
    expect(clientCertificate({ trustProxy }).bind(CONTEXT).vary).toBe("X-Forwarded-Client-Cert");
  });

  test.each<[header: string, hash: string | undefined]>([
    [`Hash=${ADA}`, ADA],
    [`hash=${ADA.toUpperCase()}`, ADA],
    [`Hash="${ADA}"`, ADA],
    [` Hash=${ADA} ; X-2="a" `, ADA],
    [`By=spiffe://a/b;Hash=${ADA};Subject="CN=Ada, \\"L\\"; O=x";URI=spiffe://c`, ADA],
    [`Subject="a;Hash=${BOB}";Hash=${ADA}`, ADA],
    [`Hash=${BOB},Hash=${ADA}`, ADA],
    [`Hash=${BOB};URI=a, By=b;Hash=${ADA}`, ADA],
    [`Hash=${ADA},By=proxy`, undefined],
    [`Hash=${ADA};Hash=${BOB}`, undefined],
    [`Hash=${ADA}00`, undefined],
    ["Hash=", undefined],
    ["", undefined],
    [`Subject="unfinished;Hash=${ADA}`, undefined],
    [`Subject=a"b";Hash=${ADA}`, undefined],
    [`=;Hash=${ADA}`, undefined],
    [`,`, undefined],
    ["a".repeat(8000), undefined],
    [`${'Subject="'.repeat(900)}`, undefined],
  ])("of X-Forwarded-Client-Cert: %.60s", (forwarded, hash) => {
    expect(read({ peer: "10.0.0.1", forwarded })).toEqual(hash === undefined ? [] : [hash]);
  });
});

test("a header of any length is read in a moment", () => {
  const bound = clientCertificate({ trustProxy: true }).bind(CONTEXT);
  for (const forwarded of [`Hash=${" ".repeat(100_000)}"`, "a=".repeat(50_000), `a="${"\\".repeat(100_000)}`]) {
    expect(bound.read(request({ forwarded }))).toEqual([]);
  }
});

function errorOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}
