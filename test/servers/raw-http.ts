/**
 * HTTP as somebody writes it who keeps to no rules: bytes over a connection, and what comes back.
 */
import { connect, type NetConnectOpts, type Socket } from "node:net";

/** A response, as far as it came. */
export interface RawResponse {
  /** 0 when the connection was closed without one. */
  readonly status: number;
  /** The head, as it came. */
  readonly head: string;
  readonly body: string;
  /** The JSON of the body; undefined when it is none. */
  readonly json: unknown;
}

/** A connection. */
export interface RawConnection {
  readonly socket: Socket;
  write(text: string | Buffer): void;
  /** The next response, once it is there as a whole; what there is of it when the connection is closed. */
  response(): Promise<RawResponse>;
  /** Resolves when the other side has closed it. */
  readonly closed: Promise<void>;
}

/** Connects. */
export async function rawConnection(to: NetConnectOpts): Promise<RawConnection> {
  const socket = connect(to);
  let received = "";
  let wake = (): void => {};
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      isClosed = true;
      resolve();
      wake();
    });
  });
  socket.on("error", () => {});
  socket.setEncoding("latin1").on("data", (part) => {
    received += String(part);
    wake();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve).once("error", reject);
  });
  return {
    socket,
    closed,
    write: (text) => void socket.write(text),
    async response() {
      for (;;) {
        const length = lengthOf(received);
        if (length !== undefined || isClosed) {
          const text = received.slice(0, length);
          received = received.slice(text.length);
          return parsed(text);
        }
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

/** Sends a request over a connection of its own. */
export async function rawRequest(to: NetConnectOpts, text: string | Buffer): Promise<RawResponse> {
  const connection = await rawConnection(to);
  connection.write(text);
  const response = await connection.response();
  connection.socket.destroy();
  return response;
}

/** How long the first response in a text is; undefined when it is not whole. */
function lengthOf(text: string): number | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const head = text.slice(0, end);
  if (head.startsWith("HTTP/1.1 100 ")) return end + 4;
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
  return text.length < end + 4 + length ? undefined : end + 4 + length;
}

function parsed(text: string): RawResponse {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), head, body, json: jsonOf(body) };
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
