/**
 * Sessions that follow the client certificate of a TLS connection.
 *
 * @module
 */
import { SessionError } from "../errors.ts";
import { checkNames } from "../internal/option-names.ts";
import { isTrusted, type TrustProxy } from "./forwarded.ts";
import type { BoundTransport, HeaderEdit, RequestView, Transport } from "./transport.ts";

/** Where the certificate is looked for. */
export interface ClientCertificateOptions {
  /**
   * Whether to believe `X-Forwarded-Client-Cert` (as Envoy and its kin write it), for a proxy that ends TLS: `true`, or a
   * function of the peer's address; `true` only where nobody but the proxy can reach the server. The proxy must replace
   * the header (Envoy: `SANITIZE_SET`): of several entries the last counts, which is the one that the proxy itself wrote.
   * From a trusted peer the certificate of the connection itself, which is the proxy's, counts for nothing. Default false.
   */
  readonly trustProxy?: TrustProxy | undefined;
}

const HEADER = "x-forwarded-client-cert";
/** What a shared cache keeps must not go to another client: it sees no difference between their requests. */
const PRIVATE: readonly HeaderEdit[] = [Object.freeze({ name: "Cache-Control", value: "private", mode: "merge" })];

/**
 * No token at all: the session follows the client certificate that was verified when the TLS connection was made. Who holds
 * the certificate's private key has the session, on every connection, and nobody else can: nothing travels that could be
 * stolen. What "SSL tracking" of servlet containers was, for TLS 1.3.
 *
 * The server has to ask for certificates and to verify them: `createServer({ cert, key, ca, requestCert: true })`. A connection
 * without a certificate, or with one that was not verified, has no session, and writing to one throws a `SessionError`
 * (`ERR_SESSION_INSECURE`, status 400). A renewed certificate is another one: it begins a new session.
 *
 * Needs a store. `session.id` is derived from the certificate, so it is the same again after `destroy()`, and for the next
 * subject who signs in. `renewalTimeout` has nothing to do; `authenticate()` and `regenerate()` end what other requests had
 * begun, but change no secret. Responses get `Cache-Control: private`. Browsers show a certificate with every request, whoever
 * caused it: pages need the guard of `coatcheck/csrf`.
 *
 * Throws a `TypeError` that names the option when the options cannot work.
 *
 * @example
 * ```ts
 * defineSession({ name: "device", store, transport: clientCertificate() });
 * ```
 */
export function clientCertificate(options: ClientCertificateOptions = {}): Transport {
  checkNames("clientCertificate", options, ["trustProxy"]);
  const { trustProxy = false } = options;
  if (typeof trustProxy !== "boolean" && typeof trustProxy !== "function") {
    throw new TypeError('clientCertificate(): the option "trustProxy" must be true, false, or a function of the peer');
  }
  return {
    kind: "clientCertificate",
    bind(context) {
      if (context.byValue) {
        throw new TypeError(
          "transport: clientCertificate() needs a store: it carries nothing that a session could be kept in",
        );
      }
      return bindCertificate(trustProxy, context.name);
    },
  };
}

function bindCertificate(trustProxy: TrustProxy, definition: string): BoundTransport {
  const proxied = trustProxy !== false;
  return {
    names: [`clientCertificate:${definition}`],
    vary: proxied ? "X-Forwarded-Client-Cert" : undefined,
    renews: false,
    always: PRIVATE,
    identifies: true,
    read(view) {
      const certificate = certificateOf(view, trustProxy);
      return certificate === undefined ? [] : [certificate];
    },
    check(view) {
      if (certificateOf(view, trustProxy) === undefined) throw uncertified(view, trustProxy, definition);
    },
    send: () => [],
    clear: () => [],
    describe: () => ({
      kind: "clientCertificate",
      trustProxy: typeof trustProxy === "function" ? "function" : trustProxy,
    }),
  };
}

function certificateOf(view: RequestView, trustProxy: TrustProxy): string | undefined {
  if (trustProxy !== false && isTrusted(view, trustProxy)) return forwardedHash(view.header(HEADER));
  // Where nobody knows the peer, the certificate might be the proxy's, and all its clients one.
  return typeof trustProxy === "function" && view.peer === undefined ? undefined : view.certificate;
}

/** The `Hash` of the last entry; undefined when there is none, or more than one, or the header is malformed. */
function forwardedHash(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const pair = /[ \t]*([\w-]+)=(?:"((?:[^"\\]|\\.)*)"[ \t]*|([^",;]*))([,;]|$)/y;
  let hashes: string[] = [];
  for (let match = pair.exec(header); match !== null; match = pair.exec(header)) {
    const [, name = "", quoted, plain = "", separator] = match;
    if (name.toLowerCase() === "hash") hashes.push((quoted ?? plain).trim().toLowerCase());
    if (separator === "") return hashes.length === 1 && /^[0-9a-f]{64}$/.test(hashes[0] ?? "") ? hashes[0] : undefined;
    if (separator === ",") hashes = [];
  }
  return undefined;
}

/** The error for a request that has no session to write to, because its client has not proved who it is. */
function uncertified(view: RequestView, trustProxy: TrustProxy, definition: string): SessionError {
  const why =
    trustProxy !== false && isTrusted(view, trustProxy)
      ? "the trusted proxy sent no X-Forwarded-Client-Cert with one Hash. Let it ask clients for certificates, verify them and set that header"
      : "the client showed no certificate that was verified. Let the server ask for one (`requestCert: true`, with the `ca` to trust); if a proxy ends TLS, set `clientCertificate({ trustProxy })`";
  return new SessionError(
    "ERR_SESSION_INSECURE",
    `The session "${definition}" follows the client certificate, and ${why}`,
    { status: 400 },
  );
}
