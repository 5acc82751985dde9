/**
 * The server of a subject, ours or another's.
 *
 * @module
 */
import type { Listener } from "./host.ts";
import type { Site } from "./site.ts";
import { isOnNode, type Kind, type NodeHost, type Subject } from "./subjects.ts";

/** What answers the requests to a subject on Node. Only what it needs is loaded. */
export async function listenerOf(subject: Subject, site: Site): Promise<Listener> {
  const { host, kind, ours } = subject;
  if (!isOnNode(host)) throw new Error(`${subject.name} is not on Node`);
  if (ours) {
    const { ourListener } = await import("./ours.ts");
    return await ourListener(host, kind, site);
  }
  const found = await PEERS[host](kind, site);
  if (found === undefined) throw new Error(`nobody knows ${subject.name}`);
  return found;
}

const PEERS: Readonly<Record<NodeHost, (kind: Kind, site: Site) => Promise<Listener | undefined>>> = {
  async express(kind, site) {
    const { expressPeer } = await import("./peers/express.ts");
    const { expressListener } = await import("./hosts/express.ts");
    const peer = await expressPeer(kind, site);
    return peer && expressListener(peer);
  },
  async fastify(kind, site) {
    const { fastifyPeer } = await import("./peers/fastify.ts");
    const { fastifyListener } = await import("./hosts/fastify.ts");
    const peer = fastifyPeer(kind, site);
    return peer && (await fastifyListener(peer));
  },
  async koa(kind, site) {
    const { koaPeer } = await import("./peers/koa.ts");
    const { koaListener } = await import("./hosts/koa.ts");
    const peer = koaPeer(kind, site);
    return peer && koaListener(peer);
  },
  async hono(kind, site) {
    const { honoPeer } = await import("./peers/hono.ts");
    const { honoListener } = await import("./hosts/hono.ts");
    const peer = honoPeer(kind, site);
    return peer && honoListener(peer);
  },
  async h3(kind, site) {
    const { h3Peer } = await import("./peers/h3.ts");
    const { h3Listener } = await import("./hosts/h3.ts");
    const peer = h3Peer(kind, site);
    return peer && h3Listener(peer);
  },
};
