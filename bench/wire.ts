/**
 * Connections without a network: the bytes of requests go through Node's own parser, and those of answers nowhere.
 *
 * @module
 */
import type { Server } from "node:http";
import { Duplex } from "node:stream";

/** An answer: its head, and what it took. */
export interface WireAnswer {
  readonly head: string;
  readonly body: string;
}

/** A kept connection to a server that does not listen. */
export interface Wire {
  /** Sends a request and waits for the whole of its answer. */
  ask(path: string, cookies: string): Promise<WireAnswer>;
}

/** Connects to a server. */
export function wireTo(server: Server): Wire {
  let received = "";
  let answered: ((answer: WireAnswer) => void) | undefined;
  const connection = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      received += chunk.toString("latin1");
      const answer = wholeAnswer(received);
      done();
      if (answer === undefined) return;
      received = "";
      answered?.(answer);
    },
  });
  // What servers and frameworks ask of a socket.
  Object.assign(connection, {
    remoteAddress: "127.0.0.1",
    setTimeout: () => connection,
    setNoDelay: () => connection,
    setKeepAlive: () => connection,
    ref: () => connection,
    unref: () => connection,
    destroySoon: () => connection.end(),
  });
  server.emit("connection", connection);
  return {
    ask(path, cookies) {
      const cookie = cookies === "" ? "" : `Cookie: ${cookies}\r\n`;
      const request = `GET /${path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\n${cookie}\r\n`;
      return new Promise((resolve) => {
        answered = resolve;
        connection.push(Buffer.from(request, "latin1"));
      });
    },
  };
}

function wholeAnswer(text: string): WireAnswer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [head, body] = [text.slice(0, end), text.slice(end + 4)];
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  const isWhole = length === undefined ? body.endsWith("0\r\n\r\n") : body.length >= Number(length);
  return isWhole ? { head, body } : undefined;
}
