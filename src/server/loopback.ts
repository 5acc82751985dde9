/**
 * Names and addresses of the machine itself.
 *
 * @module
 */
import { BlockList, isIP } from "node:net";

const addresses = new BlockList();
addresses.addSubnet("127.0.0.0", 8, "ipv4");
addresses.addAddress("::1", "ipv6");
addresses.addSubnet("::ffff:127.0.0.0", 104, "ipv6");

/** Whether a host, without port and brackets, can only be this machine. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host.toLowerCase() === "localhost";
  return addresses.check(host, version === 6 ? "ipv6" : "ipv4");
}
