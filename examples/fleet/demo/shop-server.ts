/**
 * One of the demo's servers: the shop as it is, which tells the demo what it does.
 */
import type { RequestListener } from "node:http";
import { shop } from "../../shop/app.ts";
import { serve } from "../../shop/serve.ts";
import { openSessions } from "../../shop/sessions.ts";
import { settingsOf, whyNot } from "../../shop/settings.ts";
import { isOrder, type Report } from "./messages.ts";
import { near } from "./near.ts";

const settings = settingsOf(process.env);
let draining = false;

process.on("message", (message) => {
  if (isOrder(message)) draining = message.draining;
});
// The demo is gone.
process.on("disconnect", () => process.exit());

try {
  const { user, close } = await openSessions(settings, (store) =>
    near(store, ({ hit, age }) => tell({ type: "read", hit, age })),
  );
  await user.manager.count();
  const done = (): void => void close().then(() => process.exit(0), fail);
  const server = serve(observed(shop(user, settings)), { port: settings.port, done, fail });
  server.once("listening", () => tell({ type: "listening" }));
} catch (error) {
  fail(error);
}

/** The shop, whose answers are reported. Questions for its health are no visitors, and tell the proxy when it drains. */
function observed(app: RequestListener): RequestListener {
  return (req, res) => {
    if (req.url !== "/healthz") res.once("finish", () => tell({ type: "answered" }));
    else if (draining) return void res.writeHead(404).end("draining");
    app(req, res);
  };
}

function tell(report: Report): void {
  if (process.connected) process.send?.(report);
}

function fail(error: unknown): void {
  process.send?.({ type: "failed", why: whyNot(error, settings) } satisfies Report, () => process.exit(1));
}
