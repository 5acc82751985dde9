/**
 * Hono 4 on Node.
 *
 * @module
 */
import { getRequestListener } from "@hono/node-server";
import { Hono, type Context } from "hono";
import { PATHS } from "../data.ts";
import { handlerOf, type Hosted, type Listener } from "../host.ts";

/** The app of a subject. */
export function honoListener({ handlers, install }: Hosted<Hono, Context, Context>): Listener {
  const app = new Hono();
  install?.(app);
  for (const path of PATHS) {
    const handler = handlerOf(handlers, path);
    app.get(`/${path}`, (c): Response | Promise<Response> => {
      const told = handler(c, c);
      return typeof told === "string" ? c.text(told) : told.then((text) => c.text(text));
    });
  }
  const listener = getRequestListener(app.fetch);
  return (req, res) => void listener(req, res);
}
