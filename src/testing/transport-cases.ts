/**
 * The conformance kit for transports, as data: it runs under every test runner, on our transports and on a stranger's.
 *
 * @example
 * ```ts
 * for (const { name, run } of transportCases) {
 *   test(name, () => run(() => ({ transport: myTransport(), client: headerClient("X-Mine") })));
 * }
 * ```
 *
 * @module
 */
import { isSessionError, SessionTooLargeError } from "../errors.ts";
import {
  MAX_CANDIDATES,
  type BoundTransport,
  type HeaderEdit,
  type OutgoingToken,
  type RequestView,
  type Transport,
} from "../transport/transport.ts";

/** A client that keeps what responses tell it, and sends it back as the transport expects. */
export interface TransportClient {
  /** Takes in the header edits of one response. */
  receive(edits: readonly HeaderEdit[]): void;
  /** The next request, one on which the transport can work (over TLS, say). */
  request(): RequestView;
}

/** What the kit examines: a transport, and a client that knows nothing yet. */
export interface TransportSubject {
  readonly transport: Transport;
  readonly client: TransportClient;
}

/** Makes a new subject; every case asks for its own. */
export type MakeTransport = () => TransportSubject;

/** One sentence of the transport contract. */
export interface TransportCase {
  readonly name: string;
  /** Throws an `Error` that says what is wrong when the transport does not keep to the sentence. */
  run(make: MakeTransport): void;
}

const NOW = 1_800_000_000_000;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
const TOKEN = "Zm9v-_YmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZ";
const OTHER_TOKEN = "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3R";
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// oxlint-disable-next-line no-control-regex -- these are what must not be there
const UNSAFE = /[\u0000-\u0008\u000a-\u001f\u007f-\uffff]/;

/** A client for transports that use cookies: a browser on `https://app.example`, as far as the kit needs one. */
export function cookieClient(): TransportClient {
  const jar = new Map<string, string>();
  return {
    receive(edits) {
      for (const { name, value } of edits) if (name.toLowerCase() === "set-cookie") keepCookie(jar, value);
    },
    request: () => requestOf(jar.size === 0 ? {} : { cookie: [...jar].map((pair) => pair.join("=")).join("; ") }),
  };
}

function keepCookie(jar: Map<string, string>, line: string): void {
  const [pair = "", ...attributes] = line.split("; ");
  const name = pair.slice(0, pair.indexOf("="));
  const value = pair.slice(name.length + 1);
  if (attributes.includes("Max-Age=0")) jar.delete(name);
  else if (pair.length <= 4097) jar.set(name, value);
}

/** A client for transports that use a header of the same name both ways; an empty value makes it forget. */
export function headerClient(headerName: string): TransportClient {
  const lowerCase = headerName.toLowerCase();
  let kept = "";
  return {
    receive(edits) {
      for (const { name, value } of edits) if (name.toLowerCase() === lowerCase) kept = value;
    },
    request: () => requestOf(kept === "" ? {} : { [lowerCase]: kept }),
  };
}

function requestOf(headers: Readonly<Record<string, string>>): RequestView {
  return {
    header: (name) => (name === "host" ? "app.example" : headers[name]),
    method: "GET",
    url: "/account?tab=1",
    secure: true,
    peer: "192.0.2.1",
  };
}

// --- the cases ----------------------------------------------------------------------------------------------------------

/** The sentences of the transport contract, each with its check. */
export const transportCases: readonly TransportCase[] = [
  {
    name: "has a kind, and binds for sessions by id and by value",
    run(make) {
      const { transport } = make();
      ensure(typeof transport.kind === "string" && transport.kind !== "", "kind must be a text that is not empty");
      bound(transport, { byValue: false });
      bound(transport, { byValue: true });
    },
  },
  {
    name: "says under which names it writes: some, distinct, always the same",
    run(make) {
      const { transport } = make();
      const { names } = bound(transport);
      ensure(names.length > 0, "names must not be empty: nobody could tell two definitions apart");
      ensure(new Set(names).size === names.length, "names must be distinct");
      same(bound(transport).names, names, "names of the same definition");
    },
  },
  {
    name: "finds no token on a request without one",
    run(make) {
      const { transport, client } = make();
      same(bound(transport).read(client.request()), [], "read() of a new client");
    },
  },
  {
    name: "reads back the token that it sent, whatever its length and characters",
    run(make) {
      for (const token of ["A", ALPHABET, TOKEN, `${TOKEN}.${OTHER_TOKEN}`, "0123456789.", "A".repeat(2000)]) {
        const { transport, client } = make();
        const it = bound(transport, { byValue: true });
        client.receive(send(it, client, token));
        same(it.read(client.request()), [token], "read() after send()");
      }
    },
  },
  {
    name: "can be read as often as one likes",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport);
      client.receive(send(it, client, TOKEN));
      const request = client.request();
      same(it.read(request), it.read(request), "a second read()");
    },
  },
  {
    name: "replaces the token of a client by the next one",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport, { byValue: true });
      for (const token of [TOKEN, "A".repeat(2000), OTHER_TOKEN]) {
        client.receive(send(it, client, token));
        same(it.read(client.request()), [token], "read() after another send()");
      }
    },
  },
  {
    name: "makes the client forget its token",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport);
      client.receive(send(it, client, TOKEN));
      client.receive(wellFormed(it.clear(client.request())));
      same(it.read(client.request()), [], "read() after clear()");
    },
  },
  {
    name: "clears a client that has nothing",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport);
      client.receive(wellFormed(it.clear(client.request())));
      same(it.read(client.request()), [], "read() after clear()");
    },
  },
  {
    name: "sends a token whether or not the session has an end",
    run(make) {
      for (const endsAt of [undefined, NOW, NOW + 1, NOW + 3_600_500, NOW + 1e14, Number.MAX_VALUE]) {
        const { transport, client } = make();
        wellFormed(bound(transport).send(client.request(), { token: TOKEN, endsAt, now: NOW }));
      }
    },
  },
  {
    name: "lets nothing through that would leave its header: a bad token is a TypeError",
    run(make) {
      for (const bad of ["", "a b", "a;b", "a,b", "a\r\nSet-Cookie: x=1", "a\u0000", "\u00e4", '"a"', "a\u007f"]) {
        const { transport, client } = make();
        const error = errorOf(() => bound(transport).send(client.request(), outgoing(bad)));
        ensure(error instanceof TypeError, `send() must refuse the token ${JSON.stringify(bad)} with a TypeError`);
      }
    },
  },
  {
    name: "refuses a token that does not fit with a SessionTooLargeError that does not quote it",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport, { byValue: true });
      const token = "SECRET".repeat(200_000);
      const error = errorOf(() => client.receive(send(it, client, token)));
      if (error === undefined) return same(it.read(client.request()), [token], "read() of a large token that was sent");
      ensure(error instanceof SessionTooLargeError, "send() of a large token must throw a SessionTooLargeError");
      ensure(
        error.bytes > error.limit && error.bytes >= token.length,
        "bytes must be what was to be sent, above the limit",
      );
      ensure(!`${error.message}${error.stack}`.includes("SECRETSECRET"), "the error must not contain the token");
    },
  },
  {
    name: "works on a request on which check() does not throw",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport);
      it.check(client.request());
      wellFormed(it.send(client.request(), outgoing(TOKEN)));
    },
  },
  {
    name: "refuses an unfit request in check() by a SessionError, and reads and clears there all the same",
    run(make) {
      const it = bound(make().transport);
      for (const view of unfitRequests()) {
        const error = errorOf(() => it.check(view));
        ensure(error === undefined || isSessionError(error), "check() may throw SessionErrors only");
        isCandidates(it.read(view));
        wellFormed(it.clear(view));
      }
    },
  },
  {
    name: "never throws in read(), whatever the client sent, and gives distinct texts, a few at most",
    run(make) {
      const it = bound(make().transport, { byValue: true });
      for (const garbage of garbageOf(it))
        isCandidates(it.read({ ...requestOf({}), header: () => garbage, url: garbage }));
    },
  },
  {
    name: "gives a value that comes several times once",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport);
      client.receive(send(it, client, TOKEN));
      const request = client.request();
      same(it.read(joinedWithItself(request, it.vary)), [TOKEN], "read() of a request with everything twice");
    },
  },
  {
    name: "reads from the header that it names for Vary, and from nothing else",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport);
      if (it.vary === undefined) return;
      ensure(FIELD_NAME.test(it.vary), "vary must be a header name");
      client.receive(send(it, client, TOKEN));
      const request = client.request();
      const without = (name: string): string | undefined =>
        name === it.vary?.toLowerCase() ? undefined : request.header(name);
      same(it.read({ ...request, header: without }), [], "read() of a request without that header");
    },
  },
  {
    name: "keeps two definitions apart: names, tokens, clearing",
    run(make) {
      const { transport, client } = make();
      const one = bound(transport, { name: "one" });
      const two = bound(transport, { name: "two" });
      // A transport with a name of its own cannot, and says so by its names: the session layer refuses the pair.
      if (one.names.some((name) => two.names.includes(name))) return;
      keptApart(client, one, two);
    },
  },
  {
    name: "has a separate place beside a token, when it has one at all",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport, { byValue: true });
      const beside = it.beside?.("idle");
      if (beside === undefined) return;
      ensure(!it.names.some((name) => beside.names.includes(name)), "the place beside must have names of its own");
      keptApart(client, it, beside);
    },
  },
  {
    name: "refuses the name of a definition that it cannot carry with a TypeError, or carries it",
    run(make) {
      for (const name of [
        "a b",
        "a;b",
        "a=b",
        "a\r\nb",
        "\u00e4",
        "\u0000",
        "",
        "__Host-a",
        "__proto__",
        "x".repeat(5000),
      ]) {
        const { transport, client } = make();
        const error = errorOf(() => client.receive(send(bound(transport, { name }), client, TOKEN)));
        ensure(
          error === undefined || error instanceof TypeError || isSessionError(error),
          `a definition named ${JSON.stringify(name.slice(0, 20))} must be refused with a TypeError`,
        );
      }
    },
  },
  {
    name: "says whether a client takes new tokens unasked",
    run(make) {
      ensure(typeof bound(make().transport).renews === "boolean", "renews must be true or false");
    },
  },
  {
    name: "describes itself as plain data, without a token",
    run(make) {
      const { transport, client } = make();
      const it = bound(transport);
      client.receive(send(it, client, TOKEN));
      it.read(client.request());
      const described = it.describe();
      const text = JSON.stringify(described);
      for (const [key, value] of Object.entries(described)) {
        ensure(typeof value !== "function" && typeof value !== "symbol", `describe().${key} must be plain data`);
      }
      ensure(!text.includes(TOKEN), "describe() must not contain a token");
    },
  },
];

// --- what the cases share -----------------------------------------------------------------------------------------------

function bound(transport: Transport, { name = "user", byValue = false } = {}): BoundTransport {
  return transport.bind({ name, byValue });
}

function outgoing(token: string): OutgoingToken {
  return { token, endsAt: NOW + 3_600_000, now: NOW };
}

function send(it: BoundTransport, client: TransportClient, token: string): readonly HeaderEdit[] {
  return wellFormed(it.send(client.request(), outgoing(token)));
}

/** The edits, after making sure that they are what an adapter may write. */
function wellFormed(edits: readonly HeaderEdit[]): readonly HeaderEdit[] {
  for (const { name, value, mode } of edits) {
    ensure(FIELD_NAME.test(name), "an edit must name a header");
    ensure(typeof value === "string" && !UNSAFE.test(value), `the value for ${name} must be visible ASCII`);
    ensure(
      mode === "set" || mode === "append" || mode === "merge",
      `the mode for ${name} must be set, append or merge`,
    );
  }
  return edits;
}

function keptApart(client: TransportClient, one: BoundTransport, two: BoundTransport): void {
  client.receive(send(one, client, TOKEN));
  same(two.read(client.request()), [], "read() of one place after send() of another");
  client.receive(send(two, client, OTHER_TOKEN));
  same(one.read(client.request()), [TOKEN], "read() of one place after send() of another");
  client.receive(wellFormed(one.clear(client.request())));
  same(two.read(client.request()), [OTHER_TOKEN], "read() of one place after clear() of another");
}

function isCandidates(tokens: readonly string[]): void {
  ensure(tokens.length <= MAX_CANDIDATES + 1, `read() must give at most ${MAX_CANDIDATES + 1} values`);
  ensure(new Set(tokens).size === tokens.length, "read() must give distinct values");
  ensure(
    tokens.every((token) => typeof token === "string"),
    "read() must give texts",
  );
}

function unfitRequests(): readonly RequestView[] {
  const plain = { ...requestOf({}), secure: false };
  return [
    plain,
    { ...plain, header: () => undefined },
    { ...plain, peer: undefined, url: "http://app.example/" },
    { ...plain, header: (name) => (name === "host" ? "localhost:3000" : "for=192.0.2.7;proto=https") },
    { ...plain, header: (name) => (name === "host" ? "app.example:99999" : ",;=\u0000\u00e9") },
  ];
}

/** Headers that no well-meaning client sends, with names of this transport among them where one can tell them. */
function garbageOf({ names }: BoundTransport): readonly string[] {
  const own = names.map((name) => name.slice(name.indexOf(":") + 1));
  const many = Array.from({ length: 1000 }, (_, index) => own.map((name) => `${name}=${index}`).join("; ")).join("; ");
  const junk = [" ", "=", ";", ",", "=;=;", "\u0000", "\u00a0", "%zz", '"', "\\", "__proto__=1", "a".repeat(17_000)];
  const lists = [";".repeat(17_000), ",".repeat(17_000), "=".repeat(17_000), "1,2,3,4,5,6,7,8,9", many];
  return [
    ...junk,
    ...lists,
    ...own.flatMap((name) => junk.map((value) => `${name}=${value}; ${value}${name} = ${value}`)),
  ];
}

function joinedWithItself(request: RequestView, vary: string | undefined): RequestView {
  const doubled = vary?.toLowerCase();
  const separator = doubled === "cookie" ? "; " : ", ";
  return {
    ...request,
    header(name) {
      const value = request.header(name);
      return name === doubled && value !== undefined ? `${value}${separator}${value}` : value;
    },
  };
}

function ensure(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new Error(rule);
}

function same(actual: readonly string[], expected: readonly string[], what: string): void {
  const shown = (values: readonly string[]): string => JSON.stringify(values.map((value) => value.slice(0, 60)));
  const equal = actual.length === expected.length && actual.every((value, index) => value === expected[index]);
  ensure(equal, `${what} must be ${shown(expected)}, and is ${shown(actual)}`);
}

function errorOf(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}
