/**
 * Fastify 5.
 *
 * @module
 */
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { PATHS } from "../data.ts";
import { handlerOf, type Hosted, type Listener } from "../host.ts";

/** The app of a subject. */
export async function fastifyListener({
  handlers,
  install,
}: Hosted<FastifyInstance, FastifyRequest, FastifyReply>): Promise<Listener> {
  const app = fastify({ trustProxy: true });
  await install?.(app);
  for (const path of PATHS) {
    const handler = handlerOf(handlers, path);
    app.get(`/${path}`, (request, reply) => {
      const told = handler(request, reply);
      return typeof told === "string" ? reply.send(told) : told;
    });
  }
  await app.ready();
  return (req, res) => app.routing(req, res);
}
