/**
 * Koa 3. Its routes are looked up in a map: a router would cost every subject the same.
 *
 * @module
 */
import Koa, { type Context } from "koa";
import { PATHS } from "../data.ts";
import { handlerOf, type Hosted, type Listener } from "../host.ts";

/** The app of a subject. */
export function koaListener({ handlers, install }: Hosted<Koa, Context, Context>): Listener {
  const app = new Koa();
  app.proxy = true;
  install?.(app);
  const routes = new Map(PATHS.map((path) => [`/${path}`, handlerOf(handlers, path)]));
  app.use((ctx) => {
    const told = routes.get(ctx.path)?.(ctx, ctx);
    if (typeof told !== "object") ctx.body = told;
    else return told.then((text) => (ctx.body = text));
    return undefined;
  });
  const callback = app.callback();
  return (req, res) => void callback(req, res);
}
