import { setTimeout as sleep } from "node:timers/promises";
import { sessionAgent, type SessionAgent } from "coatcheck/testing";
import { catalogue } from "../../shop/catalogue.ts";
import { expectedCart, type Cart } from "./expected-cart.ts";
import type { Tally } from "./tally.ts";

/** How a visitor lives. Times are in milliseconds. */
export interface Pace {
  /** So many things to do, with a pause of about this between them. */
  readonly steps: number;
  readonly pause: number;
  /** How long a confirmed change may stay unseen before it is lost, and a session may still work after signing out. */
  readonly settling: number;
  /** All of it, however slow the servers are. */
  readonly patience: number;
}

export const USUAL_PACE: Pace = { steps: 36, pause: 700, settling: 15_000, patience: 120_000 };

const RETRY_MS = 200;

const users = [
  { username: "ada", password: "lovelace" },
  { username: "grace", password: "hopper" },
] as const;

/** Why a visitor leaves early. */
class Leaving extends Error {}

/** What goes with a visit. */
export interface Visit {
  readonly tally: Tally;
  /** Ends it early. */
  readonly signal: AbortSignal;
  readonly pace: Pace;
  /** Called when the visitor is signed in. */
  readonly isIn: () => void;
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Somebody who signs in, fills a cart, keeps looking at it, and signs out; who knows what must be in the cart and who must be
 * signed in. What is not so is counted in `tally`. Resolves when all is done, never rejects.
 */
export async function visit(origin: string, { tally, signal, pace, isIn }: Visit): Promise<void> {
  tally.here++;
  tally.came++;
  try {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(pace.patience)]);
    const one = visitor(origin, { tally, signal: patience, settling: pace.settling });
    await one.signIn();
    isIn();
    await life(one, pace);
    tally.left++;
  } catch (error) {
    if (!(error instanceof Leaving) && !signal.aborted) tally.gaveUp++;
  } finally {
    tally.here--;
  }
}

type Visitor = ReturnType<typeof visitor>;

async function life({ add, look, signOut, pause }: Visitor, pace: Pace): Promise<void> {
  for (let step = 0; step < pace.steps; step++) {
    await pause(pace.pause * (0.5 + Math.random()));
    const dice = Math.random();
    if (dice < 0.2) await add();
    // Two tabs at once: two servers change one session.
    else if (dice < 0.35) await Promise.all([add(), add()]);
    else await look();
  }
  await look();
  await signOut();
}

function visitor(origin: string, { tally, signal, settling }: Omit<Visit, "pace" | "isIn"> & Pick<Pace, "settling">) {
  const agent = sessionAgent(origin);
  const cart = expectedCart();
  const user = users[Math.floor(Math.random() * users.length)] ?? users[0];
  const pause = async (ms: number): Promise<void> => void (await sleep(ms, undefined, { signal }));

  /** One request; undefined when it was not answered, or with an error of the server. */
  async function ask(
    path: string,
    fields?: Record<string, string>,
    by: SessionAgent = agent,
  ): Promise<Answer | undefined> {
    const post = fields && { method: "POST", body: new URLSearchParams(fields) };
    try {
      const response = await by.fetch(path, { headers: { Accept: "application/json" }, signal, ...post });
      const text = await response.text();
      if (response.status < 500) return { status: response.status, body: parsed(text) };
    } catch (error) {
      if (signal.aborted) throw error;
    }
    tally.errors++;
    return undefined;
  }

  /** Asks again until there is an answer: a page that changes nothing may be reloaded. */
  async function read(path: string, by?: SessionAgent): Promise<Answer> {
    for (;;) {
      const answer = await ask(path, undefined, by);
      if (answer !== undefined) return answer;
      await pause(RETRY_MS);
    }
  }

  async function signIn(): Promise<void> {
    for (;;) {
      const confirmed = (await ask("/login", user))?.status === 303;
      if (confirmed) return await mustBeSignedIn();
      if (await isSignedIn()) return;
      await pause(RETRY_MS);
    }
  }

  async function isSignedIn(by?: SessionAgent): Promise<boolean> {
    return (await read("/login", by)).body["subject"] === user.username;
  }

  async function mustBeSignedIn(): Promise<void> {
    if (await isSignedIn()) return;
    tally.signedOut++;
    throw new Leaving("signed out by accident");
  }

  async function add(): Promise<void> {
    const item = catalogue[Math.floor(Math.random() * catalogue.length)]?.sku ?? "scarf";
    const answer = await ask("/cart", { item, quantity: "1" });
    if (answer === undefined) tally.inDoubt++;
    cart.added(item, answer?.status === 303 ? "confirmed" : "in doubt");
  }

  async function look(): Promise<void> {
    await mustBeSignedIn();
    const first = cartOf(await read("/cart"));
    const { missing, tooMany } = cart.compare(first);
    tally.doubled += tooMany;
    if (missing > 0) await lookAgain();
    else if (tooMany > 0) cart.accept(first);
  }

  /** Something is missing: a copy that is behind, or is it lost? */
  async function lookAgain(): Promise<void> {
    const end = Date.now() + settling;
    for (;;) {
      await mustBeSignedIn();
      const now = cartOf(await read("/cart"));
      const { missing } = cart.compare(now);
      if (missing === 0) return void tally.stale++;
      if (Date.now() > end) {
        tally.lost += missing;
        return cart.accept(now);
      }
      await pause(RETRY_MS);
    }
  }

  /** Signs out, and then tries the old cookie as a thief would. */
  async function signOut(): Promise<void> {
    const thief = agent.clone();
    while ((await ask("/logout", {}))?.status !== 303) await pause(RETRY_MS);
    const since = performance.now();
    while (await isSignedIn(thief)) {
      const after = performance.now() - since;
      tally.longestAfterSignOut = Math.max(tally.longestAfterSignOut, after);
      if (after > settling) return void tally.undead++;
      await pause(RETRY_MS / 10);
    }
  }

  return { signIn, add, look, signOut, pause };
}

function parsed(text: string): Answer["body"] {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Answer["body"]) : {};
  } catch {
    // A redirect has no JSON.
    return {};
  }
}

function cartOf({ body }: Answer): Cart {
  const items = Array.isArray(body["items"]) ? (body["items"] as readonly { sku: string; quantity: number }[]) : [];
  return new Map(items.map(({ sku, quantity }) => [sku, quantity]));
}
