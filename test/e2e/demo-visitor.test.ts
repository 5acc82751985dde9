/**
 * The demo's visitors: what they count against a shop that keeps its word, and against shops that do not. Figures that could
 * not be other than 0 would prove nothing.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { expectedCart } from "../../examples/fleet/demo/expected-cart.ts";
import { createMeter } from "../../examples/fleet/demo/meter.ts";
import { newTally, type Tally } from "../../examples/fleet/demo/tally.ts";
import { visit } from "../../examples/fleet/demo/visitor.ts";

/** What a shop does wrong, from the third piece on. */
type Fault = "keeps its word" | "loses" | "doubles" | "shows late" | "signs out" | "breaks" | "keeps open";

test.each<[Fault, Partial<Tally>]>([
  ["keeps its word", {}],
  ["loses", { lost: 1 }],
  ["doubles", { doubled: 1 }],
  ["shows late", { stale: 1 }],
  ["signs out", { signedOut: 1, left: 0 }],
  ["keeps open", { undead: 1 }],
  ["breaks", { errors: 1, inDoubt: 1 }],
])("a visitor of a shop that %s", async (fault, differences) => {
  const tally = newTally();
  const server = createServer(liar(fault)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const pace = { steps: 60, pause: 2, settling: 600, patience: 20_000 };
  await visit(origin, { tally, signal: new AbortController().signal, pace, isIn: () => {} });
  server.close();
  const { longestAfterSignOut, ...counts } = tally;
  expect(longestAfterSignOut > 0).toBe(fault === "keeps open");
  expect(counts).toMatchObject({ came: 1, here: 0, left: 1, gaveUp: 0, errors: 0, ...zeros(), ...differences });
});

function zeros(): Partial<Tally> {
  return { signedOut: 0, lost: 0, doubled: 0, stale: 0, undead: 0, inDoubt: 0 };
}

/** A shop for one visitor, with one fault. */
function liar(fault: Fault): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  const cart = new Map<string, number>();
  let subject: string | null = null;
  let pieces = 0;
  let hidden: string | undefined;

  const put = (sku: string): void => {
    const wrong = ++pieces === 3 ? fault : "keeps its word";
    if (wrong === "shows late") hidden = sku;
    if (wrong === "signs out") subject = null;
    if (wrong !== "loses") cart.set(sku, (cart.get(sku) ?? 0) + (wrong === "doubles" ? 2 : 1));
  };
  const shown = (): object => {
    const items = [...cart].map(([sku, quantity]) => ({ sku, quantity: sku === hidden ? quantity - 1 : quantity }));
    hidden = undefined;
    return { items };
  };

  return async (req, res) => {
    const fields = new URLSearchParams(await text(req));
    if (req.method === "GET") return void res.end(JSON.stringify(req.url === "/cart" ? shown() : { subject }));
    if (req.url === "/login") subject = fields.get("username");
    if (req.url === "/cart") put(fields.get("item") ?? "");
    if (req.url === "/logout" && fault !== "keeps open") subject = null;
    const broken = fault === "breaks" && req.url === "/cart" && pieces === 3;
    res.writeHead(broken ? 502 : 303, broken ? {} : { Location: "/" }).end();
  };
}

test("a piece in doubt may be there, may not, and may come later, but not go again", () => {
  const cart = expectedCart();
  cart.added("hat", "confirmed");
  cart.added("hat", "in doubt");
  expect(cart.compare(new Map([["hat", 1]]))).toEqual({ missing: 0, tooMany: 0 });
  expect(cart.compare(new Map([["hat", 2]]))).toEqual({ missing: 0, tooMany: 0 });
  expect(cart.compare(new Map([["hat", 1]]))).toEqual({ missing: 1, tooMany: 0 });
  expect(cart.compare(new Map([["hat", 3]]))).toEqual({ missing: 0, tooMany: 1 });
});

test("a difference is counted once", () => {
  const cart = expectedCart();
  cart.added("hat", "confirmed");
  cart.added("boots", "confirmed");
  expect(cart.compare(new Map([["hat", 1]]))).toEqual({ missing: 1, tooMany: 0 });
  cart.accept(new Map([["hat", 1]]));
  expect(cart.compare(new Map([["hat", 1]]))).toEqual({ missing: 0, tooMany: 0 });
});

test("the meter tells a minute by seconds, and the pace of the last five", () => {
  let now = 1_000_000;
  const meter = createMeter(["a", "b"], () => now);
  for (let second = 0; second < 70; second++, now += 1000) {
    meter.answered("a");
    meter.read("a", { hit: true, age: second });
    meter.read("a", { hit: false, age: 0 });
    meter.read("a", { hit: true, age: 500 });
  }
  const seconds = meter.seconds();
  expect(seconds).toHaveLength(60);
  expect(seconds.at(-1)).toEqual({ at: 1069, requests: { a: 1, b: 0 }, ages: { median: 69, max: 500 } });
  expect(meter.pace("a")).toEqual({ requestsPerSecond: 1, hitRate: 2 / 3, oldest: 500 });
  expect(meter.pace("b")).toEqual({ requestsPerSecond: 0, hitRate: undefined, oldest: undefined });
});
