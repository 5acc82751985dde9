/**
 * What `--listen` takes.
 *
 * @module
 */
import type { ListenAddress } from "../server/session-server.ts";

/** Where a server listens when nobody says so: COATC on the keys of a telephone. */
export const DEFAULT_LISTEN = "127.0.0.1:26282";

/** `HOST:PORT`, `[IPV6]:PORT`, `PORT` on loopback, or `unix:PATH`; undefined for anything else. */
export function listenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith("unix:")) return text.length > 5 ? { path: text.slice(5) } : undefined;
  const [, bracketed, plain = "127.0.0.1", digits] =
    /^(?:\[([0-9A-Fa-f:.]+)\]:|([^:[\]/\s]+):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  return digits === undefined || port > 65_535 ? undefined : { host: bracketed ?? plain, port };
}
