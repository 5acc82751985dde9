/**
 * h3 2 on Node.
 *
 * @module
 */
import { H3, type H3Event } from "h3";
import { toNodeHandler } from "h3/node";
import { PATHS } from "../data.ts";
import { handlerOf, type Hosted, type Listener } from "../host.ts";

/** The app of a subject. */
export function h3Listener({ handlers, install }: Hosted<H3, H3Event, H3Event>): Listener {
  const app = new H3();
  install?.(app);
  for (const path of PATHS) {
    const handler = handlerOf(handlers, path);
    app.get(`/${path}`, (event) => handler(event, event));
  }
  const listener = toNodeHandler(app);
  return (req, res) => void listener(req, res);
}
