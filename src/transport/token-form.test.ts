import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SessionTooLargeError } from "../errors.ts";
import { cookie } from "./cookie.ts";
import { header } from "./header.ts";
import type { TokenForm } from "./token-form.ts";
import type { BoundTransport, RequestView, Transport } from "./transport.ts";

const NAME = "__Host-Http-user";
/** Two spellings: `<token>`, and `[token]` for reading. */
const angles: TokenForm = {
  read: (value) => /^[<[]([\w.-]+)[>\]]$/.exec(value)?.[1] ?? null,
  write: (token) => `<${token}>`,
};
const writes = (value: unknown): TokenForm => ({ ...angles, write: () => value as string });

function bound(transport: Transport): BoundTransport {
  return transport.bind({ name: "user", byValue: true });
}

function request(headers: Readonly<Record<string, string>> = {}): RequestView {
  return { header: (name) => headers[name], method: "GET", url: "/", secure: true, peer: undefined };
}

function send(transport: Transport, token = "token"): string | undefined {
  return bound(transport).send(request(), { token, endsAt: undefined, now: 0 })[0]?.value;
}

const readCookie = (value: string, form = angles): readonly string[] =>
  bound(cookie({ form })).read(request({ cookie: value }));
const readHeader = (value: string): readonly string[] =>
  bound(header("X-User", { form: angles })).read(request({ "x-user": value }));

describe("a token in another form", () => {
  test("is spelt so in the cookie and in the header, both ways", () => {
    expect(send(cookie({ form: angles }))).toBe(`${NAME}=<token>; Path=/; HttpOnly; Secure; SameSite=Lax`);
    expect(readCookie(`a=b; ${NAME}=<token>`)).toEqual(["token"]);
    expect(send(header("X-User", { form: angles }))).toBe("<token>");
    expect(readHeader("<token>")).toEqual(["token"]);
  });

  test("in a header is the whole value, commas and all; an empty one says nothing", () => {
    const form: TokenForm = { read: (value) => value, write: (token) => token };
    const read = (value: string): readonly string[] =>
      bound(header("X-User", { form })).read(request({ "x-user": value }));
    expect(read('{"a":1, "b":2}')).toEqual(['{"a":1, "b":2}']);
    expect(read("")).toEqual([]);
    expect(bound(header("X-User", { form })).read(request())).toEqual([]);
  });

  test("P5: a value that is none of the form counts as a token that nobody made, once", () => {
    expect(readCookie(`${NAME}=token; ${NAME}=<a>; ${NAME}=other`)).toEqual(["", "a"]);
    expect(readHeader("token")).toEqual([""]);
  });

  test("P5: two spellings of one token are one; too many values show as too many, whatever they spell", () => {
    expect(readCookie(`${NAME}=<a>; ${NAME}=[a]`)).toEqual(["a"]);
    const values = ["<a>", "[a]", "x", "y", "z", "<b>"].map((value) => `${NAME}=${value}`);
    expect(readCookie(values.slice(0, 4).join("; "))).toEqual(["a", ""]);
    expect(readCookie(values.join("; "))).toHaveLength(5);
  });

  test("of a form that throws is none: no value of a client is an error", () => {
    expect(readCookie(`${NAME}=%`, { ...angles, read: decodeURIComponent })).toEqual([""]);
  });

  test.each([
    "",
    " ",
    " a",
    "a ",
    "a\tb",
    "a\r\nSet-Cookie: b=c",
    "a\nb",
    "a\0",
    "a\u007f",
    "ż",
    "a\u0085",
    "\u{1f9e5}",
    undefined,
    null,
    7,
  ])("%j is sent in no header: a TypeError", (value) => {
    expect(() => send(cookie({ form: writes(value) }))).toThrow(TypeError);
    expect(() => send(header("X-User", { form: writes(value) }))).toThrow(/^form\.write\(\) must return/);
  });

  test("with a ; is sent in no cookie, which it would end; with what browsers keep, it is", () => {
    expect(() => send(cookie({ form: writes("a; Domain=evil.example") }))).toThrow(/without ";"/);
    expect(send(header("X-User", { form: writes("a; b") }))).toBe("a; b");
    expect(send(cookie({ form: writes('"a b", \\{c=d}') }))).toContain(`${NAME}="a b", \\{c=d}; Path=/`);
  });

  test("never ends its header: 2000 made-up values are sent as they are, or are a TypeError", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme-ascii" })), (value) => {
        let line: string | undefined;
        try {
          line = send(cookie({ form: writes(value) }));
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          return;
        }
        expect(line).toBe(`${NAME}=${value}; Path=/; HttpOnly; Secure; SameSite=Lax`);
        expect(value).toMatch(/^[\x20-\x3a\x3c-\x7e]+$/);
      }),
      { numRuns: 2000 },
    );
  });

  test("has to fit as it is spelt, and the advice is not to split it", () => {
    const room = 4096 - NAME.length;
    expect(() => send(cookie({ form: writes("a".repeat(room)) }))).not.toThrow();
    let error: unknown;
    try {
      send(cookie({ form: writes("a".repeat(room + 1)) }));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(SessionTooLargeError);
    expect(error).toMatchObject({ bytes: 4097, limit: 4096 });
    expect((error as Error).message).not.toContain("split");
    expect(() => send(header("X-User", { form: writes("a".repeat(8190 - 8)) }))).not.toThrow();
    expect(() => send(header("X-User", { form: writes("a".repeat(8190 - 7)) }))).toThrow(SessionTooLargeError);
  });

  test("has no form for its idle clock", () => {
    const beside = bound(cookie({ form: angles })).beside?.("idle");
    expect(beside?.send(request(), { token: "clock", endsAt: undefined, now: 0 })[0]?.value).toContain("-idle=clock;");
    expect(beside?.read(request({ cookie: `${NAME}-idle=clock` }))).toEqual(["clock"]);
    expect(beside?.describe()).toMatchObject({ form: false });
  });

  test("is still a token before it is spelt: a protection may not say what it likes", () => {
    expect(() => send(cookie({ form: angles }), "a b")).toThrow(/a token may not/);
    expect(() => send(header("X-User", { form: angles }), "a;b")).toThrow(/a token may not/);
  });

  test("shows in describe()", () => {
    expect(bound(cookie({ form: angles })).describe()).toMatchObject({ form: true });
    expect(bound(header("X-User", { form: angles })).describe()).toMatchObject({ form: true });
    expect(bound(cookie()).describe()).toMatchObject({ form: false });
  });
});

test.each([null, 7, "base64", {}, { read() {} }, { write() {} }, { read: "a", write: "b" }])(
  "%j is no form, and refused by the option's name",
  (form) => {
    expect(() => cookie({ form: form as never })).toThrow(/the option "form"/);
    expect(() => header("X-User", { form: form as never })).toThrow(/the option "form"/);
  },
);

test("form and split are refused together, by name", () => {
  expect(() => cookie({ form: angles, split: 2 })).toThrow(/the option "form" cannot go with split/);
});
