import { shop } from "./app.ts";
import { serve } from "./serve.ts";
import { openSessions } from "./sessions.ts";
import { settingsOf, whyNot } from "./settings.ts";

const settings = settingsOf(process.env);

try {
  const { user, close } = await openSessions(settings);
  // A file is opened when it is first asked: now, rather than for the first visitor.
  await user.manager.count();
  const done = (): void => void close().then(() => process.exit(0), fail);
  serve(shop(user, settings), { port: settings.port, done, fail });
} catch (error) {
  fail(error);
}

function fail(error: unknown): void {
  process.send?.({ failed: whyNot(error, settings) }, () => process.exit(1));
}
