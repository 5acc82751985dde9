/**
 * The workload: browsers that sign in, change their session in several tabs at once, are rotated, sign out and are thrown out,
 * each request at one of several processes. Everything that was answered goes into the history.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { sessionAgent, type SessionAgent } from "../../src/testing/session-agent.ts";
import type { AppAnswer } from "./app-process.ts";
import type { Action, Line, Outcome, RequestLine } from "./history.ts";
import { randomOf, type Random } from "./random.ts";

/** How long a client waits for an answer, in milliseconds. */
const PATIENCE = 15_000;

/** Where requests go, and what of them is remembered. */
export interface TrafficOptions {
  readonly origins: readonly { readonly origin: string }[];
  readonly history: Line[];
  readonly seed: number;
  readonly clients: number;
  /** Milliseconds, by a clock that never goes back. */
  now(): number;
}

/** Clients at work. */
export interface Traffic {
  /** Lets every client finish what it is at. */
  stop(): Promise<void>;
  /** Presents every token that was ever issued once more. */
  presentAll(): Promise<void>;
}

/** One browser. */
interface Client {
  readonly number: number;
  readonly agent: SessionAgent;
  readonly random: Random;
  signedIn: boolean;
  made: number;
}

/** Starts the clients. */
export function startTraffic(options: TrafficOptions): Traffic {
  const tokens = new Map<string, string>();
  const sender: Sender = { ...options, tokens, late: new Set() };
  const stopping = new AbortController();
  const clients = Array.from({ length: options.clients }, (_, number) => newClient(options, number));
  const lives = clients.map(async (client) => {
    while (!stopping.signal.aborted) {
      await round(sender, client);
      await sleep(20 + client.random.below(60));
    }
  });
  return {
    async stop() {
      stopping.abort();
      await Promise.all(lives);
      await Promise.all(sender.late);
    },
    async presentAll() {
      const visitor = newClient(options, options.clients);
      for (const value of tokens.keys()) {
        visitor.agent.cookies.clear();
        visitor.agent.cookies.set("user", { value, attributes: {} });
        await send(sender, visitor, "read");
      }
    },
  };
}

function newClient({ seed, origins }: TrafficOptions, number: number): Client {
  // Cookies know no ports: one jar for all processes.
  const agent = sessionAgent((request) => {
    const { pathname, search } = new URL(request.url);
    const [, app, ...path] = pathname.split("/");
    return fetch(new Request(`${origins[Number(app)]?.origin}/${path.join("/")}${search}`, request));
  });
  return { number, agent, random: randomOf(seed, number), signedIn: false, made: 0 };
}

// --- what a browser does ------------------------------------------------------------------------------------------------

async function round(sender: Sender, client: Client): Promise<void> {
  const { random } = client;
  if (!client.signedIn) return await signIn(sender, client);
  const dice = random.below(100);
  const tabs = Array.from({ length: 1 + random.below(3) }, () => change(sender, client));
  if (dice < 70) await Promise.all([...tabs, change(sender, client)]);
  else if (dice < 82) await Promise.all([...tabs, send(sender, client, "rotate", { how: random.pick(HOW_TO_ROTATE) })]);
  else await leave(sender, client, tabs);
}

const HOW_TO_ROTATE = ["regenerate", "authenticate"] as const;
const HOW_TO_REVOKE = ["id", "all"] as const;
const CHANGES = ["add", "add", "append", "append", "key", "read"] as const;

async function signIn(sender: Sender, client: Client): Promise<void> {
  const { outcome } = await send(sender, client, "sign-in", { subject: `subject-${client.number}` });
  client.signedIn = outcome === "written";
}

async function change(sender: Sender, client: Client): Promise<void> {
  const action = client.random.pick(CHANGES);
  const entry = `${action}-${client.number}-${++client.made}`;
  const { outcome } = await send(sender, client, action, action === "add" || action === "read" ? {} : { entry });
  if (outcome === "anonymous" || outcome === "gone") client.signedIn = false;
}

/** Signs out, or is thrown out, while other tabs are at work; and then somebody comes with a copy of the cookie. */
async function leave(sender: Sender, client: Client, tabs: readonly Promise<void>[]): Promise<void> {
  const { agent, random } = client;
  const thief = { ...client, agent: agent.clone() };
  const way = random.chance(0.7) ? ["sign-out", {}] : ["revoke", { how: random.pick(HOW_TO_REVOKE) }];
  const [action, query] = way as ["sign-out" | "revoke", Record<string, string>];
  const [{ outcome }] = await Promise.all([send(sender, client, action, query), ...tabs]);
  client.signedIn = outcome !== "written" && outcome !== "anonymous";
  await send(sender, thief, random.chance(0.5) ? "read" : "add");
  // And once more, when nearly all copies are too old.
  const again = sleep(random.below(COPIES_LIVE)).then(() => send(sender, thief, "read"));
  sender.late.add(again);
  void again.finally(() => sender.late.delete(again));
}

/** As long as copies in the apps of a fleet, and a little longer, in milliseconds. */
const COPIES_LIVE = 2_500;

// --- one request ----------------------------------------------------------------------------------------------------------

interface Sender extends TrafficOptions {
  /** Requests that are yet to be made. */
  readonly late: Set<Promise<unknown>>;
  /** The names of tokens. */
  readonly tokens: Map<string, string>;
}

async function send(
  sender: Sender,
  { agent, random, number }: Client,
  action: Action,
  query: Readonly<Record<string, string>> = {},
): Promise<RequestLine> {
  const app = random.below(sender.origins.length);
  const pause = random.chance(0.5) ? random.below(6) : 0;
  const search = new URLSearchParams({ ...query, pause: String(pause) });
  const cookie = agent.cookies.get("user");
  const token = cookie === undefined ? undefined : nameOf(sender, cookie.value);
  const from = sender.now();
  const answer = await answered(sender, () =>
    agent.fetch(`/${app}/${action}?${search}`, { method: "POST", signal: AbortSignal.timeout(PATIENCE) }),
  );
  const { entry } = query;
  const line: RequestLine = {
    did: "request",
    client: number,
    app,
    action,
    from,
    until: sender.now(),
    token,
    entry,
    ...answer,
  };
  sender.history.push(line);
  return line;
}

type Answer = Omit<AppAnswer, "servedAt"> & Pick<RequestLine, "served" | "issued" | "cleared">;

async function answered(sender: Sender, ask: () => Promise<Response>): Promise<Answer> {
  let response: Response;
  let text: string;
  try {
    response = await ask();
    text = await response.text();
  } catch {
    // The process has gone, or took too long.
    return { outcome: "unanswered" };
  }
  const { servedAt, ...answer } = said(response.status, text);
  // Both clocks are of this machine.
  const served = servedAt === undefined ? undefined : sender.now() - (Date.now() - servedAt);
  return { ...answer, served, ...told(sender, response) };
}

function said(status: number, text: string): AppAnswer {
  const failures: Readonly<Record<number, Outcome>> = { 503: "failed", 409: "conflict" };
  return status === 200 ? (JSON.parse(text) as AppAnswer) : { outcome: failures[status] ?? "bug" };
}

/** What the cookies of an answer tell the client. */
function told(sender: Sender, { headers }: Response): Pick<RequestLine, "issued" | "cleared"> {
  const line = headers.getSetCookie().find((text) => text.startsWith("user="));
  if (line === undefined) return {};
  const value = /^[^=]+=([^;]*)/.exec(line)?.[1] ?? "";
  return /; *max-age=0/i.test(line) ? { cleared: true } : { issued: nameOf(sender, value) };
}

function nameOf({ tokens }: Sender, token: string): string {
  const known = tokens.get(token) ?? `t${tokens.size + 1}`;
  tokens.set(token, known);
  return known;
}
