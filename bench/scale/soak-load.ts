/**
 * The load of the soak: `soak-load.ts <port> <seconds>`. 64 clients, each on a connection of its own and with its own
 * cookies, go their ways as fast as they are answered; each knows what the right answer is.
 *
 * @module
 */
import { connect, type Socket } from "node:net";

/** What came of it. */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  /** The first few wrong answers. */
  readonly examples: readonly string[];
}

const CLIENTS = 64;
const EXAMPLES = 5;

/** In a hundred requests, how many of which kind; the rest reads. */
const SHARES = [
  ["/untouched", 20],
  ["/write", 20],
  ["/prefs", 10],
  ["/prefs/write", 5],
  ["/sign-in", 6],
  ["/sign-out", 3],
  ["leave", 3],
] as const;

const [port = "", seconds = ""] = process.argv.slice(2);
const end = performance.now() + Number(seconds) * 1000;
let [requests, errors] = [0, 0];
const examples: string[] = [];

await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(`client-${number}`)));
console.log(JSON.stringify({ requests, errors, examples } satisfies LoadResult));

async function client(subject: string): Promise<void> {
  const connection = await connected();
  let visitor = newVisitor();
  while (performance.now() < end) {
    const kind = chosen();
    if (kind === "leave") {
      visitor = newVisitor();
      continue;
    }
    requests++;
    const expected = visitor.expects(kind, subject);
    const answer = await connection.ask(kind, subject, visitor.jar).catch((error: unknown) => String(error));
    if (answer !== expected) wrong(`${kind}: ${answer} instead of ${expected}`);
  }
  connection.close();
}

function wrong(what: string): void {
  errors++;
  if (examples.length < EXAMPLES) examples.push(what);
}

function chosen(): string {
  let left = Math.random() * 100;
  for (const [kind, share] of SHARES) {
    left -= share;
    if (left < 0) return kind;
  }
  return "/read";
}

/** What a client has, and what the server must know of it. */
interface Visitor {
  readonly jar: Map<string, string>;
  /** The right answer to a request. */
  expects(kind: string, subject: string): string;
}

function newVisitor(): Visitor {
  let [known, count, prefs] = ["guest", 0, 0];
  return {
    jar: new Map(),
    expects(kind, subject) {
      if (kind === "/untouched") return "untouched";
      if (kind.startsWith("/prefs")) return `guest ${kind === "/prefs" ? prefs : ++prefs}`;
      if (kind === "/sign-in") known = subject;
      if (kind === "/sign-out") [known, count] = ["guest", 0];
      if (kind === "/write") count++;
      return `${known} ${count}`;
    },
  };
}

interface Connection {
  /** Sends a request, keeps the cookies, returns the body. Throws an `Error` for any status but 200. */
  ask(path: string, subject: string, jar: Map<string, string>): Promise<string>;
  close(): void;
}

async function connected(): Promise<Connection> {
  const socket: Socket = connect({ host: "127.0.0.1", port: Number(port), noDelay: true });
  socket.setEncoding("latin1");
  let received = "";
  let waiting: { readonly resolve: (text: string) => void; readonly reject: (error: Error) => void } | undefined;
  socket.on("data", (chunk: string) => {
    received += chunk;
    const length = lengthOf(received);
    if (length === undefined || received.length < length) return;
    const whole = received;
    received = "";
    waiting?.resolve(whole);
  });
  socket.on("error", (error) => waiting?.reject(error));
  socket.on("close", () => waiting?.reject(new Error("the connection was closed")));
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return {
    async ask(path, subject, jar) {
      const cookies = jar.size === 0 ? "" : `Cookie: ${[...jar].map((pair) => pair.join("=")).join("; ")}\r\n`;
      const answer = new Promise<string>((resolve, reject) => (waiting = { resolve, reject }));
      const head = `GET ${path} HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: https\r\nX-Subject: ${subject}\r\n`;
      socket.write(`${head}${cookies}\r\n`);
      return bodyOf(await answer, jar);
    },
    close: () => socket.destroy(),
  };
}

/** How long a response is, once its head is there. */
function lengthOf(text: string): number | undefined {
  const head = text.indexOf("\r\n\r\n");
  if (head === -1) return undefined;
  return head + 4 + Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, head))?.[1] ?? NaN);
}

function bodyOf(text: string, jar: Map<string, string>): string {
  const at = text.indexOf("\r\n\r\n");
  const head = text.slice(0, at);
  for (const [, name = "", value = "", attributes = ""] of head.matchAll(/^set-cookie: ([^=]+)=([^;\r]*)(.*)$/gim)) {
    if (/max-age=0/i.test(attributes)) jar.delete(name);
    else jar.set(name, value);
  }
  const body = text.slice(at + 4);
  if (!head.startsWith("HTTP/1.1 200")) throw new Error(`${head.slice(0, 12)}: ${body}`);
  return body;
}
