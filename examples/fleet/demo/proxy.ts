import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connects } from "./connects.ts";
import { haproxyConfig, haproxyNews } from "./proxy-haproxy.ts";
import { nginxConfig, nginxNews } from "./proxy-nginx.ts";
import type { Options } from "./options.ts";
import { programPath, startProgram, type Program } from "./processes.ts";

/** A server that the proxy may send requests to. */
export interface Upstream {
  readonly name: string;
  readonly port: number;
}

/** What a configuration is made of. */
export interface ProxyPlan {
  readonly port: number;
  readonly upstreams: readonly Upstream[];
  /** For what the proxy has to write. */
  readonly directory: string;
}

/** A proxy that the demo can use. */
export interface ProxyKind {
  readonly words: string;
  readonly program: string;
  /** Whether it asks the servers for their health, and so can be told by one that it wants to leave. */
  readonly drains: boolean;
  config(plan: ProxyPlan): string;
  args(file: string): readonly string[];
  /** What a line of its log tells of a server. */
  news(line: string, upstreams: readonly Upstream[]): string | undefined;
}

const kinds: Readonly<Record<"haproxy" | "nginx", Omit<ProxyKind, "program">>> = {
  haproxy: {
    words: "HAProxy",
    drains: true,
    config: haproxyConfig,
    args: (file) => ["-f", file, "-db"],
    news: haproxyNews,
  },
  nginx: { words: "nginx", drains: false, config: nginxConfig, args: (file) => ["-c", file], news: nginxNews },
};

/** @throws Error that says what to install */
export function chooseProxy(wish: Options["proxy"]): ProxyKind {
  const names = wish === undefined ? (["haproxy", "nginx"] as const) : ([wish] as const);
  for (const name of names) {
    const program = programPath(name);
    if (program !== undefined) return { ...kinds[name], program };
  }
  throw new Error(
    `The demo needs a proxy, and ${names.join(" or ")} is not installed. ` +
      `Install one: apt install ${names[0]}, dnf install ${names[0]}, or brew install ${names[0]}.`,
  );
}

/** Starts a proxy in front of the servers. `onNews` is told what it finds out about them. */
export async function startProxy(kind: ProxyKind, plan: ProxyPlan, onNews: (news: string) => void): Promise<Program> {
  const file = join(plan.directory, "proxy.conf");
  writeFileSync(file, kind.config(plan));
  const tell = (line: string): void => {
    const news = kind.news(line, plan.upstreams);
    if (news !== undefined) onNews(news);
  };
  return await startProgram([kind.program, ...kind.args(file)], () => connects(plan.port), tell);
}
