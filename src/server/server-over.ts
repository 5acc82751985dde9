/**
 * A session server over its mounts.
 *
 * @module
 */
import { chmodSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { Clock } from "../internal/clock.ts";
import { type Duration, milliseconds } from "../internal/duration.ts";
import type { SessionStore } from "../store/store.ts";
import { answerClientError } from "./client-error.ts";
import { anybody, callersOf, checkedCredentials, type Credential } from "./credentials.ts";
import { failureLog } from "./failure-log.ts";
import { type ListenAddress, listenOn, refuseUnsafe, urlOf } from "./listening.ts";
import { Metrics } from "./metrics.ts";
import type { Mount } from "./mount.ts";
import { operationsMounts } from "./operations.ts";
import { observedStore, type StoreObserver } from "./observed-store.ts";
import { addProcessMetrics } from "./process-metrics.ts";
import { withoutPiles } from "./piled-requests.ts";
import { readinessOf } from "./readiness.ts";
import { type HandlerContext, requestHandler } from "./request-handler.ts";
import type { ListenOptions, SessionServer, TlsFiles } from "./session-server.ts";
import { stopped } from "./stopping.ts";

/** What a server is told, each option checked. Times are in milliseconds. */
export interface ServerSettings {
  readonly store: SessionStore;
  readonly credentials: readonly Credential[] | undefined;
  /** What is served, beside health and metrics, over the store as the server sees it. */
  readonly mounts: (store: SessionStore) => readonly Mount[];
  readonly maxBody: number;
  readonly rate: number | undefined;
  readonly maxConnections: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly keepAliveTimeout: number;
  readonly storeTimeout: number;
  readonly metrics: "open" | "credential" | "off";
  readonly log: (line: string) => void;
  readonly clock: Clock;
}

/** Makes it. */
export function serverOver(settings: ServerSettings): SessionServer {
  return new ServerOver(settings);
}

interface Running {
  readonly server: Server;
  readonly address: ListenAddress;
  readonly hasTls: boolean;
  readonly sockets: ReadonlySet<Socket>;
  readonly raw: ReadonlySet<Socket>;
}

class ServerOver implements SessionServer {
  readonly handler: SessionServer["handler"];
  readonly #settings: ServerSettings;
  readonly #store: SessionStore;
  readonly #metrics = new Metrics();
  readonly #context: HandlerContext;
  /** Ends what measures the process. */
  readonly #endMeasuring: () => void;
  #running: Running | undefined;

  constructor(settings: ServerSettings) {
    this.#settings = settings;
    this.#store = observedStore(settings.store, storeObserver(settings, this.#metrics));
    this.#context = contextOf(settings, this.#store, this.#metrics);
    this.#endMeasuring = settings.metrics === "off" ? () => {} : addProcessMetrics(this.#metrics);
    this.handler = withoutPiles(requestHandler(this.#context));
  }

  get url(): string | undefined {
    const { server, address, hasTls } = this.#running ?? {};
    return server?.listening === true && address !== undefined ? urlOf(server, address, hasTls === true) : undefined;
  }

  async listen(address: ListenAddress, { tls, tlsEndsElsewhere = false }: ListenOptions = {}): Promise<void> {
    if (this.#running !== undefined) throw new Error("The server listens already.");
    const hasTls = tls !== undefined;
    refuseUnsafe(address, { hasCredentials: !this.#context.open, hasTls, tlsEndsElsewhere });
    const server = httpServer(this.#settings, tls, this.handler);
    this.#running = { server, address, hasTls, ...connectionsOf(server, hasTls, this.#metrics) };
    server.on("clientError", (error, socket) => {
      this.#metrics.malformed++;
      answerClientError(error, socket);
    });
    try {
      // Whoever can write to a socket is let in, and what the umask says is meant for files.
      const isPrivate = "path" in address && this.#context.open;
      await listenOn(server, address, isPrivate);
      if (isPrivate) chmodSync(address.path, 0o600);
    } catch (error) {
      this.#running = undefined;
      throw error;
    }
  }

  setCredentials(credentials: readonly Credential[]): void {
    if (this.#context.open) {
      throw new TypeError("credentials: the server was started without any, and stays so until it is started anew");
    }
    const callers = (this.#context.callers = callersOf(checkedCredentials(credentials), this.#store));
    // A stream was let in when it began: who is not let in any more hears no more.
    for (const call of this.#context.streams) {
      const { application, namespace } = callers.of(call.req.headers.authorization) ?? {};
      if (application !== call.caller.application || namespace !== call.caller.namespace) call.stop();
    }
  }

  setTls({ cert, key }: TlsFiles): void {
    if (this.#running?.hasTls !== true) throw new TypeError("tls: the server listens without it");
    (this.#running.server as HttpsServer).setSecureContext({ cert, key, minVersion: TLS });
  }

  async close({ within = 10 }: { readonly within?: Duration | undefined } = {}): Promise<void> {
    const patience = milliseconds("within", within);
    this.#context.stopping = true;
    for (const call of this.#context.streams) call.stop();
    const running = this.#running;
    if (running !== undefined) {
      await stopped({ ...running, underWay: () => this.#metrics.underWay }, patience);
    }
    this.#endMeasuring();
  }
}

/** The oldest version that is spoken. */
const TLS = "TLSv1.2";

function contextOf(settings: ServerSettings, store: SessionStore, metrics: Metrics): HandlerContext {
  const { credentials, clock, maxBody, requestTimeout, rate, log } = settings;
  const ready = readinessOf(store, settings.storeTimeout, clock);
  const operations = operationsMounts({ isStopping: () => context.stopping, ready, metrics, access: settings.metrics });
  const context: HandlerContext = {
    mounts: [...operations, ...settings.mounts(store)],
    limits: { maxBody, answerTimeout: requestTimeout },
    rate,
    metrics,
    log,
    callers: credentials === undefined ? anybody(store) : callersOf(credentials, store),
    open: credentials === undefined,
    stopping: false,
    streams: new Set(),
  };
  return context;
}

function storeObserver({ store, clock, storeTimeout, log }: ServerSettings, metrics: Metrics): StoreObserver {
  const failures = failureLog(clock, log);
  return {
    clock,
    timeout: storeTimeout,
    failed(call, error) {
      metrics.storeFailures++;
      failures.tell(call, store.name ?? "the store", error);
    },
  };
}

function httpServer(settings: ServerSettings, tls: TlsFiles | undefined, handler: RequestListener): Server {
  const { requestTimeout, keepAliveTimeout } = settings;
  const headersTimeout = Math.min(settings.headersTimeout, requestTimeout);
  const options: ServerOptions = {
    headersTimeout,
    requestTimeout,
    keepAliveTimeout,
    // A connection is looked at so often, and may take so much longer.
    connectionsCheckingInterval: Math.max(20, headersTimeout / 4),
    maxHeaderSize: 16 * 1024,
    insecureHTTPParser: false,
    // Answered by the handler, as JSON.
    requireHostHeader: false,
    noDelay: true,
  };
  const server =
    tls === undefined
      ? createHttpServer(options, handler)
      : createHttpsServer({ ...options, ...tls, minVersion: TLS, handshakeTimeout: headersTimeout }, handler);
  // Asked for the body, a client with "Expect: 100-continue" sends it; refused, it does not.
  server.on("checkContinue", handler);
  // A client that reads nothing does not keep an answer waiting for ever.
  server.timeout = 2 * requestTimeout;
  server.maxConnections = settings.maxConnections;
  return server;
}

function connectionsOf(server: Server, hasTls: boolean, metrics: Metrics): Pick<Running, "sockets" | "raw"> {
  const raw = tracked(server, "connection");
  const sockets = hasTls ? tracked(server, "secureConnection") : raw;
  metrics.add("coatcheck_connections", "gauge", "Connections that are open.", () => raw.size);
  server.on("drop", () => metrics.connectionsDropped++);
  return { sockets, raw };
}

function tracked(server: Server, event: "connection" | "secureConnection"): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on(event, (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}
