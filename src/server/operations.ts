/**
 * What those who run the server ask it: whether it lives, whether it can work, what it has done.
 *
 * @module
 */
import type { ServerResponse } from "node:http";
import { type Answer, Refusal } from "./endpoint.ts";
import type { Metrics } from "./metrics.ts";
import type { Mount } from "./mount.ts";

/** What it takes to answer. */
export interface Operations {
  readonly isStopping: () => boolean;
  /** Whether the store answers. */
  readonly ready: () => Promise<boolean>;
  readonly metrics: Metrics;
  /** Who may see the metrics. */
  readonly access: "open" | "credential" | "off";
}

const METHODS = ["GET", "HEAD"];
const ALIVE: Answer = { status: 200, body: { status: "ok" } };
const READY: Answer = { status: 200, body: { status: "ready" } };
const STOPPING = new Refusal(503, "stopping", "The server is being stopped.").answer;
const AWAY = new Refusal(503, "store-unavailable", "The store does not answer.").answer;

/** `/healthz`, `/readyz` and `/metrics`. */
export function operationsMounts({ isStopping, ready, metrics, access }: Operations): readonly Mount[] {
  const readiness = async (): Promise<Answer> => {
    if (isStopping()) return STOPPING;
    const answer = (await ready()) ? READY : AWAY;
    return isStopping() ? STOPPING : answer;
  };
  const page = (res: ServerResponse): undefined => sendText(res, metrics.text());
  const path = "/metrics";
  return [
    { kind: "open", path: "/healthz", methods: METHODS, answer: () => ALIVE },
    { kind: "open", path: "/readyz", methods: METHODS, answer: readiness },
    ...(access === "open" ? [{ kind: "open" as const, path, methods: METHODS, answer: page }] : []),
    ...(access === "credential"
      ? [
          {
            kind: "endpoint" as const,
            path,
            methods: METHODS,
            endpoint: ({ res }: { res: ServerResponse }) => page(res),
          },
        ]
      : []),
  ];
}

function sendText(res: ServerResponse, text: string): undefined {
  res.writeHead(200, {
    "Cache-Control": "no-store",
    "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
    "Content-Length": Buffer.byteLength(text),
  });
  res.end(text);
}
