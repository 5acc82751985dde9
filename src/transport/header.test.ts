import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SessionTooLargeError } from "../errors.ts";
import { headerClient, transportCases } from "../testing/transport-cases.ts";
import { header } from "./header.ts";
import type { BoundTransport, RequestView } from "./transport.ts";

const CONTEXT = { name: "user", byValue: false };
const TOKEN = "A".repeat(43);

function requestWith(headers: Readonly<Record<string, string>>): RequestView {
  return { header: (name) => headers[name], method: "GET", url: "/", secure: true, peer: "127.0.0.1" };
}

function send(bound: BoundTransport, token: string): unknown {
  return bound.send(requestWith({}), { token, endsAt: undefined, now: 0 });
}

describe.each([
  ["header()", () => header(), "X-Session"],
  ['header("My-Session", { renew: true })', () => header("My-Session", { renew: true }), "My-Session"],
])("%s keeps to the transport contract", (_title, transport, name) => {
  test.each(transportCases)("$name", ({ run }) => run(() => ({ transport: transport(), client: headerClient(name) })));
});

describe("a session header", () => {
  test("hands the token out, and takes it back", () => {
    const bound = header().bind(CONTEXT);
    expect(send(bound, TOKEN)).toEqual([{ name: "X-Session", value: TOKEN, mode: "set" }]);
    expect(bound.read(requestWith({ "x-session": TOKEN }))).toEqual([TOKEN]);
  });

  test("is emptied to make the client forget", () => {
    expect(header().bind(CONTEXT).clear(requestWith({}))).toEqual([{ name: "X-Session", value: "", mode: "set" }]);
  });

  test.each<[value: string, tokens: string[]]>([
    ["a", ["a"]],
    ["a, b", ["a", "b"]],
    ["a,\tb ,a,, ,b", ["a", "b"]],
    ["", []],
    [" \t ", []],
    [",", []],
    ["\u00a0a", ["\u00a0a"]],
    ["1,2,3,4,5,6,7", ["1", "2", "3", "4", "5"]],
  ])("P5: reads %j as a list", (value, tokens) => {
    expect(
      header()
        .bind(CONTEXT)
        .read(requestWith({ "x-session": value })),
    ).toEqual(tokens);
  });

  test("P10: takes a renewed token along only if asked to", () => {
    expect(header().bind(CONTEXT).renews).toBe(false);
    expect(header("X-Session", { renew: false }).bind(CONTEXT).renews).toBe(false);
    expect(header("X-Session", { renew: true }).bind(CONTEXT).renews).toBe(true);
  });

  test("varies by its own name, and is the same for every way to write that name", () => {
    const bound = header("X-My-Session").bind(CONTEXT);
    expect(bound.vary).toBe("X-My-Session");
    expect(bound.names).toEqual(header("x-my-session").bind({ name: "cart", byValue: true }).names);
    expect(bound.describe()).toEqual({ kind: "header", name: "X-My-Session", renew: false, form: false });
  });

  test("holds a line of 8190 bytes, and not one more", () => {
    const bound = header().bind({ name: "user", byValue: true });
    const room = 8190 - "X-Session: ".length;
    expect(send(bound, "A".repeat(room))).toHaveLength(1);
    expect(() => send(bound, "A".repeat(room + 1))).toThrow(SessionTooLargeError);
    expect(() => send(bound, "A".repeat(room + 1))).toThrow(/8191 bytes where 8190 fit: .*`store`/);
  });

  test.each(["", "a b", "a:b", "a\r\nb", "\u00e4", "a,b", "(a)"])("refuses the name %j", (name) => {
    expect(() => header(name)).toThrow(TypeError);
  });

  test.each([
    "Cookie",
    "Set-Cookie",
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Vary",
    "Sec-Session",
    "Proxy-Authorization",
    "X-Forwarded-For",
  ])("refuses %s, which means something else", (name) => {
    expect(() => header(name)).toThrow(/X-Session/);
    expect(() => header(name.toUpperCase())).toThrow(TypeError);
  });

  test("refuses Authorization, which no response can hand out, and says what to take", () => {
    expect(() => header("Authorization")).toThrow(/authorization.*response.*X-Session/);
  });

  test("refuses options that it does not have, by name", () => {
    expect(() => header("X-Session", { renews: true } as never)).toThrow(/"renews"/);
    expect(() => header("X-Session", { renew: 1 } as never)).toThrow(/"renew"/);
    expect(() => header("X-Session", null as never)).toThrow(TypeError);
    expect(() => header(7 as never)).toThrow(TypeError);
  });

  test("whatever the name, it is refused with a TypeError or makes a good header", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), (name) => {
        let bound: BoundTransport;
        try {
          bound = header(name).bind(CONTEXT);
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          return;
        }
        expect(() => new Headers([[bound.vary as string, TOKEN]])).not.toThrow();
      }),
      { numRuns: 5000 },
    );
  });
});
