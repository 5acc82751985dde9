/**
 * A connection to Redis as thin as it can be: for questions of tests that no driver should answer, and with the `send` of
 * Bun's client, for a test where there is no Bun.
 */
import { connect, type Socket } from "node:net";

/** A reply of the protocol, version 2. */
export type Reply = string | number | null | readonly Reply[];

/** A connection. */
export class RespClient {
  readonly #socket: Socket;
  readonly #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = [];
  #received: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;
  /** What comes without having been asked for, such as the lines of `MONITOR`. */
  onPush: (reply: Reply) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the connection was closed")));
  }

  static connect(port: number): Promise<RespClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(new RespClient(socket)));
      socket.once("error", reject);
    });
  }

  /** Sends a command; rejects with the server's error. */
  send(command: string, args: readonly string[] = []): Promise<Reply> {
    const words = [command, ...args];
    const bulks = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return void reject(this.#failure);
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`*${words.length}\r\n${bulks}`);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    for (let parsed = parse(this.#received, 0); parsed !== undefined; parsed = parse(this.#received, 0)) {
      this.#received = this.#received.subarray(parsed.end);
      const next = this.#waiting.shift();
      if (parsed.value instanceof Error) next?.reject(parsed.value);
      else if (next === undefined) this.onPush(parsed.value);
      else next.resolve(parsed.value);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

interface Parsed<T> {
  readonly value: T;
  readonly end: number;
}

/** The reply that begins at `at`; undefined when it is not there as a whole. */
function parse(bytes: Buffer, at: number): Parsed<Reply | Error> | undefined {
  const lineEnd = bytes.indexOf("\r\n", at);
  if (lineEnd < 0) return undefined;
  const line = bytes.toString("utf8", at + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(bytes[at] ?? 0)) {
    case "+":
      return { value: line, end };
    case "-":
      return { value: new Error(line), end };
    case ":":
      return { value: Number(line), end };
    case "$":
      return text(bytes, end, Number(line));
    case "*":
      return array(bytes, end, Number(line));
    default:
      throw new Error("not a reply of Redis");
  }
}

function text(bytes: Buffer, at: number, length: number): Parsed<Reply> | undefined {
  if (length < 0) return { value: null, end: at };
  const end = at + length + 2;
  return bytes.length < end ? undefined : { value: bytes.toString("utf8", at, at + length), end };
}

function array(bytes: Buffer, at: number, length: number): Parsed<Reply> | undefined {
  if (length < 0) return { value: null, end: at };
  const all: Reply[] = [];
  let end = at;
  for (let i = 0; i < length; i++) {
    const parsed = parse(bytes, end);
    if (parsed === undefined) return undefined;
    if (parsed.value instanceof Error) throw parsed.value;
    all.push(parsed.value);
    end = parsed.end;
  }
  return { value: all, end };
}
