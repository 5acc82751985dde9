/**
 * The methods that a response of Node has while it is held, and what else of it is another then.
 *
 * @module
 */
import { setFromWriteHead, type Head } from "./node-head.ts";

/** The methods that send something. */
export type HeldMethod = "writeHead" | "write" | "end" | "flushHeaders";
export type Methods = { readonly [Method in HeldMethod]: (...args: unknown[]) => unknown };
/** Those that a handler may have looked up before it asked for a session, their arguments being computed in between. */
export type EarlyMethod = Exclude<HeldMethod, "flushHeaders">;
export type EarlyMethods = Pick<Methods, EarlyMethod>;

/** Who holds a response. */
export interface Holder {
  /** Whether the response is one of HTTP/2. */
  readonly http2: boolean;
  /** Whether the head is out, for all that the handler can tell. */
  readonly headSent: boolean;
  /** Whether the handler has ended the response. */
  readonly ended: boolean;
  send(method: HeldMethod, args: unknown[]): unknown;
  sendEarly(method: EarlyMethod, args: unknown[]): unknown;
}

/** The part of both kinds of response that is used here. */
export interface AnyResponse extends Head {
  readonly writableEnded: boolean;
  emit(event: "drain"): boolean;
  destroy(error?: Error): unknown;
  writeHead(...args: unknown[]): unknown;
  write(...args: unknown[]): boolean;
  end(...args: unknown[]): unknown;
  flushHeaders(): void;
  [HELD]?: Holder;
}

const HELD: unique symbol = Symbol("coatcheck.held");

const EARLY = {
  writeHead(this: AnyResponse, ...args: unknown[]): unknown {
    return this[HELD]?.sendEarly("writeHead", args);
  },
  write(this: AnyResponse, ...args: unknown[]): boolean {
    return this[HELD]?.sendEarly("write", args) as boolean;
  },
  end(this: AnyResponse, ...args: unknown[]): unknown {
    return this[HELD]?.sendEarly("end", args);
  },
};

const HOLDING = {
  writeHead(this: AnyResponse, ...args: unknown[]): unknown {
    const held = this[HELD] as Holder;
    if (held.headSent) throw headersSentError(held.http2);
    return held.send("writeHead", setFromWriteHead(this, args));
  },
  write(this: AnyResponse, ...args: unknown[]): boolean {
    return this[HELD]?.send("write", args) as boolean;
  },
  end(this: AnyResponse, ...args: unknown[]): unknown {
    return this[HELD]?.send("end", args);
  },
  flushHeaders(this: AnyResponse): void {
    this[HELD]?.send("flushHeaders", []);
  },
};

/** Puts our methods on top of whatever is there. */
export function hold(res: AnyResponse): void {
  res.writeHead = HOLDING.writeHead;
  res.write = HOLDING.write;
  res.end = HOLDING.end;
  res.flushHeaders = HOLDING.flushHeaders;
}

/** Gives a response its own methods back, where nobody has patched ours. */
export function letGo(res: AnyResponse, { writeHead, write, end, flushHeaders }: Methods): void {
  if (res.writeHead === HOLDING.writeHead) res.writeHead = writeHead;
  if (res.write === HOLDING.write) res.write = write as AnyResponse["write"];
  if (res.end === HOLDING.end) res.end = end;
  if (res.flushHeaders === HOLDING.flushHeaders) res.flushHeaders = flushHeaders as () => void;
}

/** What nobody may do any more to a head that is as good as sent. */
const FROZEN: PropertyDescriptorMap = {
  ...Object.fromEntries(
    ["setHeader", "appendHeader", "setHeaders", "removeHeader"].map((name) => [
      name,
      { configurable: true, value: refuse },
    ]),
  ),
  // What middleware that patches `write` and `end` calls to be sure that the head is written.
  _implicitHeader: { configurable: true, value: () => {} },
  headersSent: { configurable: true, get: () => true },
  writableEnded: { configurable: true, get: isEnded },
};
const FROZEN_NAMES = Object.keys(FROZEN);

function isEnded(this: AnyResponse): boolean {
  return this[HELD]?.ended === true;
}

function refuse(this: AnyResponse): never {
  throw headersSentError(this[HELD]?.http2 === true);
}

/** What Node itself throws. */
function headersSentError(http2: boolean): Error {
  const error = new Error("Cannot set headers after they are sent to the client");
  return Object.assign(error, { code: http2 ? "ERR_HTTP2_HEADERS_SENT" : "ERR_HTTP_HEADERS_SENT" });
}

/** Puts our first methods on a response, as soon as its request is there; returns those that it had. */
export function holdEarly(res: AnyResponse, holder: Holder): EarlyMethods {
  const { writeHead, write, end } = res;
  res[HELD] = holder;
  res.writeHead = EARLY.writeHead;
  res.write = EARLY.write;
  res.end = EARLY.end;
  return { writeHead, write, end };
}

/** The methods of a response, without our first ones: what others have put on top, or else what there was before. */
export function methodsOf({ writeHead, write, end, flushHeaders }: AnyResponse, first: EarlyMethods): Methods {
  return {
    writeHead: writeHead === EARLY.writeHead ? first.writeHead : writeHead,
    write: write === EARLY.write ? first.write : write,
    end: end === EARLY.end ? first.end : end,
    flushHeaders,
  };
}

/** Makes the head as good as sent. */
export function freeze(res: AnyResponse): void {
  Object.defineProperties(res, FROZEN);
}

/** Takes {@link freeze} back. */
export function thaw(res: AnyResponse): void {
  for (const name of FROZEN_NAMES) Reflect.deleteProperty(res, name);
}
