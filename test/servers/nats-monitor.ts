/**
 * What goes over the wire to NATS, as another client of the same servers hears it.
 */
import type { NatsClient } from "./nats.ts";

/** Listens to what clients ask the servers. */
export interface NatsMonitor {
  /** Does something, and returns what was asked meanwhile: `GET`, `PUT <kind>`, `PURGE` and so on, in order. */
  during(act: () => Promise<unknown>): Promise<readonly string[]>;
}

/** Begins to listen; `client` is connected to the same server as those that it hears. */
export async function monitorNats({ connection }: NatsClient): Promise<NatsMonitor> {
  let heard: string[] = [];
  const hear = (_: unknown, { subject }: { readonly subject: string }): void => void heard.push(subject);
  connection.subscribe("$KV.>", { callback: hear });
  connection.subscribe("$JS.API.>", { callback: hear });
  connection.subscribe("monitor.end", { callback: hear });
  await connection.flush();
  /** Until everything before it was heard. */
  const caughtUp = async (): Promise<void> => {
    connection.publish("monitor.end");
    await connection.flush();
    while (!heard.includes("monitor.end")) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    async during(act) {
      await caughtUp();
      heard = [];
      await act();
      await caughtUp();
      return heard.filter((subject) => subject !== "monitor.end").map(nameOf);
    },
  };
}

const API: Readonly<Record<string, string>> = {
  "STREAM.MSG.GET": "GET",
  "STREAM.PURGE": "PURGE",
  "STREAM.INFO": "INFO",
  "DIRECT.GET": "DIRECT GET",
};

function nameOf(subject: string): string {
  const kind = /^\$KV\.[^.]+\.(\w)\./.exec(subject)?.[1];
  if (kind !== undefined) return `PUT ${kind}`;
  const [, api = subject] = /^\$JS\.API\.([A-Z.]+)\.[^A-Z]/.exec(`${subject}.`) ?? [];
  const found = Object.keys(API).find((name) => subject.startsWith(`$JS.API.${name}`));
  return found === undefined ? api : (API[found] ?? api);
}
