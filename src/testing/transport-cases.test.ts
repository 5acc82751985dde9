import { describe, expect, test } from "vitest";
import { header } from "../transport/header.ts";
import type { BoundTransport, HeaderEdit, Transport } from "../transport/transport.ts";
import { headerClient, transportCases } from "./transport-cases.ts";

/** A good transport with one thing done badly. */
function flawed(flaw: (good: BoundTransport) => Partial<BoundTransport>): Transport {
  return {
    kind: "flawed",
    bind(context) {
      const good = header().bind(context);
      return { ...good, ...flaw(good) };
    },
  };
}

function failures(transport: Transport): string[] {
  return transportCases.flatMap(({ name, run }) => {
    try {
      run(() => ({ transport, client: headerClient("X-Session") }));
      return [];
    } catch {
      return [name];
    }
  });
}

const edit = (value: string): readonly HeaderEdit[] => [{ name: "X-Session", value, mode: "set" }];
const SENTENCE = /^[a-z]/;

describe("the conformance kit for transports", () => {
  test("has no two sentences of one name", () => {
    expect(new Set(transportCases.map(({ name }) => name)).size).toBe(transportCases.length);
    for (const { name } of transportCases) expect(name).toMatch(SENTENCE);
  });

  test("finds nothing wrong with a good transport", () => {
    expect(failures(flawed(() => ({})))).toEqual([]);
  });

  test.each<[flaw: string, make: (good: BoundTransport) => Partial<BoundTransport>]>([
    ["has no names", () => ({ names: [] })],
    ["has one name twice", () => ({ names: ["header:a", "header:a"] })],
    ["cuts long tokens", () => ({ send: (_view, { token }) => edit(token.slice(0, 100)) })],
    ["changes letters", () => ({ send: (_view, { token }) => edit(token.toLowerCase()) })],
    ["lets line breaks through", () => ({ send: (_view, { token }) => edit(token) })],
    ["does not clear", () => ({ clear: () => [] })],
    ["throws in read", (good) => ({ read: (view) => good.read(view).map((token) => decodeURIComponent(token)) })],
    ["reads without end", () => ({ read: (view) => view.header("x-session")?.split(/, ?/) ?? [] })],
    ["reads a value twice", () => ({ read: (view) => view.header("x-session")?.split(/, ?/).slice(0, 5) ?? [] })],
    ["names no header for Vary", () => ({ vary: "" })],
    ["names another header for Vary", () => ({ vary: "X-Other" })],
    ["throws plain errors in check", (good) => ({ check: (view) => ensureSecure(view.secure, good) })],
    ["does not say whether it renews", () => ({ renews: undefined as never })],
    ["shares its place beside", (good) => ({ beside: () => good })],
    ["describes itself by functions", () => ({ describe: () => ({ read: () => [] }) })],
    [
      "writes a mode that there is not",
      (good) => ({ clear: (view) => [{ ...good.clear(view)[0]!, mode: "add" as never }] }),
    ],
    ["refuses large tokens by a plain error", (good) => ({ send: (view, out) => small(() => good.send(view, out)) })],
  ])("finds out a transport that %s", (_flaw, make) => {
    expect(failures(flawed(make))).not.toEqual([]);
  });
});

function ensureSecure(secure: boolean, { vary }: BoundTransport): void {
  if (!secure) throw new Error(`no ${vary} without TLS`);
}

function small<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw error instanceof TypeError ? error : new RangeError("too large", { cause: error });
  }
}
