/**
 * The client certificate of a TLS connection of Node.
 *
 * @module
 */

/** The part of a TLS socket that is used here. */
interface TlsSocketLike {
  readonly authorized?: unknown;
  getPeerCertificate?(): { readonly fingerprint256?: unknown } | null;
}

/** See `RequestView.certificate`. */
export function certificateOf(socket: unknown): string | undefined {
  const tls = socket as TlsSocketLike | undefined;
  if (tls?.authorized !== true) return undefined;
  const fingerprint = tls.getPeerCertificate?.()?.fingerprint256;
  return typeof fingerprint === "string" ? fingerprint.replaceAll(":", "").toLowerCase() : undefined;
}
