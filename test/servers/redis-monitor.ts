/**
 * What goes over the wire to Redis, as the servers themselves see it (`MONITOR`).
 */
import type { RedisNode } from "./redis.ts";
import { RespClient } from "./resp.ts";

/** What was sent while something was done. */
export interface Traffic {
  /** Names of the commands that clients sent, upper case, in the order of each server. */
  readonly commands: readonly string[];
  /** Names of all commands that servers ran, those in scripts too. */
  readonly ran: readonly string[];
}

/** Listens to servers. */
export interface RedisMonitor {
  /** Does something and returns what was sent to the servers meanwhile. */
  during(act: () => Promise<unknown>): Promise<Traffic>;
  close(): void;
}

/** What drivers send by themselves. */
const OWN = new Set(["PING", "CLIENT", "INFO", "CLUSTER", "HELLO", "COMMAND", "ROLE", "SELECT", "REPLCONF"]);

let markers = 0;

/** Begins to listen to primaries. */
export async function monitorRedis(nodes: readonly RedisNode[]): Promise<RedisMonitor> {
  const all = await Promise.all(nodes.map(listen));
  return {
    async during(act) {
      for (const listener of all) await listener.marked();
      await act();
      const lines = (await Promise.all(all.map((listener) => listener.marked()))).flat();
      const parsed = lines.map((line) => /^\S+ \[\d+ (\S+)\] "([^"]*)"/.exec(line) ?? []);
      const ran = parsed.map(([, from, name = ""]) => ({ from, name: name.toUpperCase() }));
      return {
        commands: ran.filter(({ from, name }) => from !== "lua" && !OWN.has(name)).map(({ name }) => name),
        ran: ran.filter(({ name }) => !OWN.has(name)).map(({ name }) => name),
      };
    },
    close: () => {
      for (const listener of all) listener.close();
    },
  };
}

async function listen(node: RedisNode): Promise<{ marked(): Promise<readonly string[]>; close(): void }> {
  const client = await RespClient.connect(node.port);
  const lines: string[] = [];
  let wake = (): void => {};
  client.onPush = (line) => {
    lines.push(String(line));
    wake();
  };
  await client.send("MONITOR");
  return {
    /** The lines since the last mark. */
    async marked() {
      const marker = `marker-${++markers}`;
      await node.ask("ECHO", marker);
      while (!lines.some((line) => line.includes(marker))) await new Promise<void>((resolve) => (wake = resolve));
      return lines.splice(0).filter((line) => !line.includes('"ECHO" "marker-'));
    },
    close: () => client.close(),
  };
}
