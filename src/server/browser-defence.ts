/**
 * What keeps pages out: without credentials, whoever reaches the server may do everything, and a page in a browser on this
 * machine reaches it.
 *
 * @module
 */
import { Refusal } from "./endpoint.ts";
import { isLoopback } from "./loopback.ts";
import type { RequestHead } from "./request-head.ts";

/**
 * Throws a {@link Refusal} (403) for a request that a page may have sent: browsers say so by `Origin` or `Sec-Fetch-Site`, and
 * a page whose name was made to point here (DNS rebinding) by a `Host` that is not this machine.
 */
export function refuseBrowsers({ host, origin, fetchSite }: RequestHead, overSocket: boolean): void {
  if (origin !== undefined || (fetchSite !== undefined && fetchSite !== "none")) {
    throw new Refusal(
      403,
      "from-a-page",
      "A page in a browser sent this, and a server without credentials answers none.",
    );
  }
  // A browser does not get at a Unix socket, and clients of one write anything here.
  if (overSocket || host === undefined || isLoopback(nameIn(host))) return;
  throw new Refusal(
    403,
    "wrong-host",
    "A server without credentials is called localhost, 127.0.0.1 or [::1]. Use one of them in the URL, or make credentials.",
  );
}

/** The name in a `Host`, without port and brackets. */
function nameIn(host: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [];
  return bracketed ?? plain ?? "";
}
