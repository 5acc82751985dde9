import { describe, expect, test } from "vitest";
import { commandLine, optionsHelp, type OptionSpec } from "./command-line.ts";
import { listenAddress } from "./listen-text.ts";
import { nearest } from "./nearest.ts";
import { SERVE_HELP, serveOptions } from "./serve-options.ts";

const OPTIONS = {
  store: { takes: "URL", help: "where" },
  "forward-auth": { takes: "NAME", multiple: true, help: "what\nelse" },
  help: { help: "says this" },
} satisfies Record<string, OptionSpec>;
const read = (...args: readonly string[]) => commandLine("coatcheck serve", args, OPTIONS);

describe("a command line", () => {
  test("has options in either form, several times where that is meant, and other words", () => {
    const line = read("--store", "a", "--forward-auth=b", "word", "--forward-auth", "c", "--help");
    expect([line.text("store"), line.texts("forward-auth"), line.has("help")]).toEqual(["a", ["b", "c"], true]);
    expect(line.positionals).toEqual(["word"]);
    expect([line.text("forward-auth"), read().text("store"), read().has("help")]).toEqual(["b", undefined, false]);
  });

  test.each([
    [["--stor", "x"], "There is no option --stor. Did you mean --store?"],
    [["--forwrad-auth", "x"], "There is no option --forwrad-auth. Did you mean --forward-auth?"],
    [["--something"], "There is no option --something."],
    [["-x"], "There is no option -x."],
    [["--__proto__"], "There is no option --__proto__."],
    [["--store"], "--store takes a value: --store URL"],
    [["--store", "--help"], "--store takes a value: --store URL"],
    [["--store="], "--store takes a value: --store URL"],
    [["--help=yes"], "--help takes no value."],
    [["--store", "a", "--store", "b"], "--store was given twice."],
  ])("that is wrong says what is: %j", (args, message) => {
    expect(() => read(...args)).toThrow(expect.objectContaining({ name: "UsageError", message }));
  });

  test("has a help of aligned lines", () => {
    expect(optionsHelp(OPTIONS)).toBe(
      [
        "  --store URL          where",
        "  --forward-auth NAME  what",
        "                       else",
        "  --help               says this",
      ].join("\n"),
    );
  });
});

test("the nearest word is one that is near", () => {
  const words = ["add", "list", "remove"];
  expect(["ad", "lits", "removed", "rem", "lst"].map((word) => nearest(word, words))).toEqual([
    "add",
    "list",
    "remove",
    "remove",
    "list",
  ]);
  expect(["", "frobnicate", "x"].map((word) => nearest(word, words))).toEqual([undefined, undefined, undefined]);
});

test("an address is a host and a port, a port of this machine, or a socket", () => {
  expect(listenAddress("127.0.0.1:80")).toEqual({ host: "127.0.0.1", port: 80 });
  expect(listenAddress("shop.internal:0")).toEqual({ host: "shop.internal", port: 0 });
  expect(listenAddress("[::1]:443")).toEqual({ host: "::1", port: 443 });
  expect(listenAddress("8080")).toEqual({ host: "127.0.0.1", port: 8080 });
  expect(listenAddress("unix:/run/coatcheck.sock")).toEqual({ path: "/run/coatcheck.sock" });
  for (const text of ["", "host", ":80", "::1:80", "host:", "host:65536", "a b:1", "http://host:80", "unix:"]) {
    expect(listenAddress(text), text).toBeUndefined();
  }
});

describe("options of serve", () => {
  test("come to what the server takes", () => {
    const options = serveOptions(
      ["--idle-timeout", "10m", "--absolute-timeout", "off", "--max-body", "512kb", "--rate", "5", "--metrics", "off"],
      {},
    );
    expect(options).toMatchObject({
      store: "sqlite:coatcheck.db",
      address: { host: "127.0.0.1", port: 26_282 },
      credentials: { file: "coatcheck-credentials.json", named: false },
      server: {
        idleTimeout: "10m",
        absoluteTimeout: false,
        maxBody: 524_288,
        rate: 5,
        metrics: "off",
        forwardAuth: [],
      },
    });
    expect(serveOptions([], { COATCHECK_STORE: "redis://a" })?.store).toBe("redis://a");
    expect(serveOptions(["--store", "sqlite:b"], { COATCHECK_STORE: "redis://a" })?.store).toBe("sqlite:b");
    expect(serveOptions(["--help"], {})).toBeUndefined();
  });

  test.each([
    [["--idle-timeout", "soon"], /--idle-timeout takes a time/],
    [["--idle-timeout", "0s"], /--idle-timeout takes a time/],
    [["--store-timeout", "off"], /--store-timeout takes a time/],
    [["--max-body", "1gb"], /--max-body takes a size/],
    [["--rate", "0"], /--rate takes a whole number/],
    [["--rate", "1.5"], /--rate takes a whole number/],
    [["--metrics", "some"], /--metrics takes open, credential, off/],
    [["--listen", "nowhere"], /--listen takes/],
    [["--tls-cert", "a"], /go together/],
    [["serve"], /options only/],
    [["--keys-file", "/nowhere"], /--keys-file: \/nowhere cannot be read/],
  ])("that cannot be are refused: %j", (args, message) => {
    expect(() => serveOptions(args, {})).toThrow(message);
  });

  test("are in the help, each on lines that a terminal has", () => {
    for (const line of SERVE_HELP.split("\n")) expect(line.length, line).toBeLessThanOrEqual(110);
    expect(SERVE_HELP).toContain("--tls-ends-elsewhere");
  });
});
