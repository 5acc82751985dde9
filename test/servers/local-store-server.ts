/** The store endpoint in this process: without a network, as a `fetch`, and over one, with every exchange in sight. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Answer, type EndpointCall, Refusal, send } from "../../src/server/endpoint.ts";
import { storeEndpoint } from "../../src/server/store-endpoint.ts";
import type { RemoteFetch } from "../../src/store/remote.ts";
import type { SessionStore } from "../../src/store/store.ts";

const endpoint = storeEndpoint({ timeout: 2_000 });

async function answerTo(store: SessionStore, body: unknown, signal: AbortSignal): Promise<Answer> {
  const caller = { application: "test", namespace: "test", store };
  const call = {
    req: { method: "POST" },
    caller,
    path: [],
    query: new URLSearchParams(),
    body: async () => body,
    signal,
  };
  try {
    return (await endpoint(call as unknown as EndpointCall)) ?? { status: 500 };
  } catch (error) {
    if (error instanceof Refusal) return error.answer;
    throw error;
  }
}

/** Sends nothing anywhere. */
export function fetchFrom(store: SessionStore): RemoteFetch {
  return async (_url, { body = "", signal }) => {
    const answer = await answerTo(store, JSON.parse(body), signal);
    return new Response(JSON.stringify(answer.body), { status: answer.status });
  };
}

/** A server in this process. */
export interface LocalStoreServer {
  readonly url: string;
  /** How many calls each exchange had. */
  readonly exchanges: readonly number[];
  /** Called before a request is looked at. True: it is not to be answered, this one has its own ideas. */
  before: (req: IncomingMessage, res: Parameters<typeof send>[0]) => boolean;
  /** Connections that were made. */
  readonly connections: () => number;
  stop(): Promise<void>;
}

/** Starts one. */
export async function startLocalServer(store: SessionStore): Promise<LocalStoreServer> {
  const exchanges: number[] = [];
  let connections = 0;
  const server: Server = createServer((req, res) => void serve(req, res));
  const local: LocalStoreServer = {
    get url() {
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    exchanges,
    before: () => false,
    connections: () => connections,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const serve = async (req: IncomingMessage, res: Parameters<typeof send>[0]): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as { readonly calls: readonly unknown[] };
    exchanges.push(body.calls.length);
    if (local.before(req, res)) return;
    send(res, await answerTo(store, body, new AbortController().signal));
  };
  server.on("connection", () => void connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return local;
}
