/**
 * Random requests of one visitor, from two processes, with every store call as a point where another may come first. After
 * each run the promises of the protocol are checked against what was acknowledged.
 */
import { Browser, COOKIE, KEY, MINUTE, instrumented, type Visit } from "./testbed.ts";
import {
  defineSession,
  type CommitOutcome,
  type Session,
  type SessionDefinition,
  type SessionOptions,
  type SessionStore,
  type StoredRecord,
  type WatchGaps,
} from "../src/index.ts";
import { isPromise } from "../src/internal/maybe-promise.ts";
import { fakeClock } from "../src/testing/fake-clock.ts";

type Counter = Record<string, number>;
type Clock = ReturnType<typeof fakeClock>;
type Watcher = Parameters<NonNullable<SessionStore["watch"]>>[0];

/** Whether copies of records are trusted. */
export type Trust = Pick<SessionOptions, "keys" | "trustFor">;

/** They are, for as long as they may be. */
export const TRUSTING: Trust = { keys: KEY, trustFor: "5m" };

/** What a request does to its session. */
const ACTIONS = [
  "read",
  "read",
  "add",
  "add",
  "key",
  "key",
  "destroy",
  "regenerate",
  "authenticate",
  "revoke",
] as const;
type Action = (typeof ACTIONS)[number];

/** What became of a request. */
interface Report {
  readonly action: Action;
  readonly key: string;
  readonly visit: Visit;
  /** The cookie it came with. */
  readonly cookie: string;
  readonly loadedId: string | undefined;
  /** Positions in the sequence of everything that happened. */
  readonly loaded: number;
  readonly committing: number;
  readonly acknowledged: number;
  readonly outcome: CommitOutcome;
  readonly id: string;
  readonly data: Readonly<Counter> | undefined;
}

/** What a run counted, so that a test can see that it was not idle. */
export interface Tally {
  runs: number;
  requests: number;
  written: number;
  gone: number;
  ended: number;
  rotated: number;
  conflicts: number;
  /** Requests that were served without a look into the store. */
  copied: number;
}

/** A tally of nothing. */
export function emptyTally(): Tally {
  return { runs: 0, requests: 0, written: 0, gone: 0, ended: 0, rotated: 0, conflicts: 0, copied: 0 };
}

/** Lets everything go as far as it can without a decision: enough for what a store in this process has to do. */
async function microtasks(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await undefined;
}

/** What the store of one process is made of: the store that all share, whose news arrive when the run decides. */
export type ProcessStore = (shared: SessionStore & Required<Pick<SessionStore, "watch">>) => SessionStore;

/** What is different about a run. */
export interface Settings extends Trust {
  readonly storeOf?: ProcessStore;
}

/**
 * One run. `choices` decide who goes first. A store that waits for others says by `settle` when the calls that were let go
 * are answered. Throws what promise was broken.
 */
export async function interleave(
  make: (clock: Clock) => SessionStore,
  choices: readonly number[],
  tally: Tally,
  settle: () => Promise<void> = microtasks,
  settings: Settings = {},
): Promise<void> {
  const world = new World(make, choices, tally, settle, settings);
  try {
    await world.run();
  } finally {
    await world.store.close?.();
  }
}

class World {
  readonly clock: Clock = fakeClock();
  readonly store: SessionStore;
  readonly #choices: readonly number[];
  readonly #tally: Tally;
  readonly #settle: () => Promise<void>;
  readonly #definitions: readonly SessionDefinition<Counter>[];
  readonly #browser: Browser;
  readonly #waiting: (() => void)[] = [];
  readonly #reports: Report[] = [];
  readonly #watchers = new Set<Watcher>();
  readonly #news = new Map<Watcher, (() => void)[]>();
  #step = 0;
  #chosen = 0;
  #running = 0;
  #gated = false;
  #turns = 0;
  #failure: unknown;

  constructor(
    make: (clock: Clock) => SessionStore,
    choices: readonly number[],
    tally: Tally,
    settle: () => Promise<void>,
    { storeOf = (shared) => shared, ...trust }: Settings,
  ) {
    this.store = make(this.clock);
    this.#choices = choices;
    this.#tally = tally;
    this.#settle = settle;
    const gated = instrumented(this.store);
    gated.before = () => (this.#gated ? new Promise<void>((resolve) => this.#waiting.push(resolve)) : undefined);
    gated.after = (verb, key) => void (verb === "update" || verb === "delete" ? this.#spread(key) : undefined);
    const define = (): SessionDefinition<Counter> => {
      const store = storeOf({ ...gated, watch: (listener, gaps) => this.#watch(listener, gaps) });
      return defineSession<Counter>({ name: "user", store, clock: this.clock, storeTimeout: "1d", ...trust });
    };
    this.#definitions = [define(), define()];
    for (const { manager } of this.#definitions) manager.on("conflict", () => void this.#tally.conflicts++);
    this.#browser = new Browser(...this.#definitions);
  }

  async run(): Promise<void> {
    const user = this.#definitions[0] as SessionDefinition<Counter>;
    await this.#browser.visit(user, (session) => session.set({ n: 0 }));
    const signedIn = this.#choose(4) > 0;
    if (signedIn) await this.#browser.visit(user, (session) => session.authenticate("ada"));
    this.clock.advance(((this.#choose(3) * 8 + 1) * MINUTE) as number);
    if (this.#choose(3) === 0) await this.#browser.visit(user, () => {});
    this.#gated = true;
    let left = 3 + this.#choose(5);
    while (left > 0 || this.#running > 0) {
      const choice = this.#choose(4);
      if (left > 0 && (choice === 0 || this.#running === 0)) {
        left--;
        this.#running++;
        this.#request(this.#pick(ACTIONS), left)
          .catch((error: unknown) => (this.#failure = error))
          .finally(() => this.#running--);
      } else if (this.#waiting.length > 0) {
        this.#waiting.splice(this.#choose(this.#waiting.length), 1)[0]?.();
      } else this.clock.advance(10);
      await this.#settle();
      if (this.#failure !== undefined) throw this.#failure;
      if (++this.#turns > 10_000) throw new Error("stuck: a request never ended");
    }
    for (const go of this.#waiting.splice(0)) go();
    this.#gated = false;
    // What nobody waits for is answered, too, before the next run, or the end of the server.
    await this.#settle();
    this.#tally.runs++;
    await this.#check(signedIn);
  }

  async #request(action: Action, index: number): Promise<void> {
    const definition = this.#pick(this.#definitions);
    const visit = this.#browser.arrive({}, [definition]);
    const cookie = this.#browser.jar.get(COOKIE) ?? "";
    // With every store call held back, what is there at once is not from the store.
    if (cookie !== "" && !isPromise(visit.exchange.from(definition.manager))) this.#tally.copied++;
    const session = await visit.from(definition);
    const loaded = ++this.#step;
    const loadedId = session.isNew ? undefined : session.id;
    const key = `k${index}`;
    // The handler takes its time.
    for (let pauses = this.#choose(3); pauses > 0; pauses--)
      await new Promise<void>((resume) => this.#waiting.push(resume));
    act(session, action, key);
    const committing = ++this.#step;
    const committed = await session.commit();
    // What a destroy() writes is the end of a session: nothing of this request can be there afterwards.
    const outcome = action === "destroy" ? "unchanged" : committed;
    if (action === "revoke") await definition.manager.revoke(session.id);
    await visit.answer();
    const { id, data } = session;
    this.#reports.push({
      action,
      key,
      visit,
      cookie,
      loadedId,
      loaded,
      committing,
      acknowledged: ++this.#step,
      outcome,
      id,
      data,
    });
    // A response that gets lost costs nothing, unless it was to bring the new secret of a sign-in (P9, P11).
    if (isRotation(action) || this.#choose(4) > 0) visit.deliver();
  }

  // --- news -------------------------------------------------------------------------------------------------------------

  #watch(listener: Watcher, gaps: WatchGaps = {}): () => void {
    this.#watchers.add(listener);
    void Promise.resolve().then(() => gaps.restored?.());
    return () => void this.#watchers.delete(listener);
  }

  /** To each watcher the news come in their order, and none before its turn. */
  #spread(key: string): void {
    const version = (this.store.read(key, { now: this.clock.now() }) as StoredRecord | undefined)?.version;
    for (const watcher of this.#watchers) {
      const due = this.#news.get(watcher) ?? [];
      this.#news.set(watcher, due);
      due.push(() => watcher(key, { version }));
      this.#waiting.push(() => due.shift()?.());
    }
  }

  // --- the promises -----------------------------------------------------------------------------------------------------

  async #check(signedIn: boolean): Promise<void> {
    for (const report of this.#reports) this.#count(report);
    this.#noSignOutRefused();
    const ended = new Set(this.#reports.filter(endsSession).map(({ loadedId }) => loadedId));
    await this.#noResurrection(ended);
    this.#noFork();
    await this.#noLostUpdate(ended);
    await this.#noDeadSecret();
    if (signedIn && ended.size === 0) await this.#nobodyLoggedOut();
  }

  #count({ action, outcome }: Report): void {
    this.#tally.requests++;
    if (outcome === "written") this.#tally.written++;
    if (outcome === "gone") this.#tally.gone++;
    if (action === "destroy" || action === "revoke") this.#tally.ended++;
    if (isRotation(action)) this.#tally.rotated++;
  }

  async #noResurrection(ended: ReadonlySet<string | undefined>): Promise<void> {
    for (const id of ended) {
      const record = await this.store.read(`user/${id}`, { now: this.clock.now(), fresh: true });
      if (record !== undefined) throw new Error(`resurrected: ${id} was ended and is in the store`);
    }
  }

  /** But of who came with a secret that was dead by then, and had a copy. */
  #noSignOutRefused(): void {
    for (const { action, visit, loadedId, acknowledged } of this.#reports) {
      if (action !== "destroy" || loadedId === undefined || visit.setCookies.length > 0) continue;
      const before = this.#reports.some((other) => replacesSecret(other, loadedId) && other.committing < acknowledged);
      if (!before) throw new Error("a sign-out was refused");
    }
  }

  #noFork(): void {
    const fork = this.#reports.find(
      ({ action, outcome, loadedId, id }) =>
        outcome === "written" && loadedId !== undefined && id !== loadedId && action !== "authenticate",
    );
    if (fork !== undefined) throw new Error(`resurrected: ${fork.action} on an ended session began another`);
  }

  async #noLostUpdate(ended: ReadonlySet<string | undefined>): Promise<void> {
    const ids = new Set(this.#reports.filter(({ outcome }) => outcome === "written").map(({ id }) => id));
    for (const id of ids) {
      if (ended.has(id)) continue;
      const record = await this.store.read(`user/${id}`, { now: this.clock.now(), fresh: true });
      if (record === undefined) throw new Error(`lost: ${id} was written and is not in the store`);
      const { d } = JSON.parse(record.value) as { d?: Counter };
      const mine = this.#reports.filter((report) => report.id === id && report.outcome === "written");
      const added = mine.filter(({ action, loadedId }) => action === "add" && loadedId === id).length;
      // A session that began in this run began with what its first writer saw.
      const first = mine.find(({ loadedId }) => loadedId !== id);
      const expected = (first?.data?.["n"] ?? 0) + added;
      if ((d?.["n"] ?? 0) !== expected) throw new Error(`lost update: n is ${d?.["n"]}, ${expected} were acknowledged`);
      const missing = mine.find(({ action, key }) => action === "key" && d?.[key] !== 1);
      if (missing !== undefined) throw new Error(`lost update: ${missing.key} was acknowledged and is not there`);
    }
  }

  async #noDeadSecret(): Promise<void> {
    for (const rotation of this.#reports) {
      if (!isRotation(rotation.action) || rotation.outcome !== "written" || rotation.loadedId !== rotation.id) continue;
      for (const other of this.#reports) {
        const stale = other.loadedId === rotation.id && other.loaded < rotation.committing;
        if (!stale || other.committing < rotation.acknowledged || other.outcome !== "written") continue;
        if (other.id === rotation.id && other.action !== "destroy") throw new Error("a dead secret wrote");
      }
      const thief = new Browser(...this.#definitions);
      thief.jar.set(COOKIE, rotation.cookie);
      const accepted = await thief.visit(this.#definitions[1] as SessionDefinition<Counter>, ({ isNew }) => !isNew);
      if (accepted) throw new Error("a dead secret was accepted");
    }
  }

  async #nobodyLoggedOut(): Promise<void> {
    const subject = await this.#browser.visit(
      this.#definitions[0] as SessionDefinition<Counter>,
      (session) => session.subject,
    );
    if (subject !== "ada") throw new Error(`logged out, though nobody signed out: ${this.#told()}`);
  }

  #told(): string {
    const told = this.#reports.map(({ action, loadedId, id, outcome, visit, ...steps }) => ({
      action,
      from: loadedId,
      to: id,
      outcome,
      at: [steps.loaded, steps.committing, steps.acknowledged],
      came: steps.cookie.slice(-4),
      sent: visit.setCookies.map((text) => text.split(";")[0]?.slice(-4)),
    }));
    return JSON.stringify(told, undefined, 1);
  }

  // --- chance -----------------------------------------------------------------------------------------------------------

  #choose(below: number): number {
    return (this.#choices[this.#chosen++ % this.#choices.length] ?? 0) % below;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#choose(list.length)] as T;
  }
}

function act(session: Session<Counter>, action: Action, key: string): void {
  if (action === "add") session.update((data) => ({ ...data, n: (data?.["n"] ?? 0) + 1 }));
  if (action === "key") session.patch({ [key]: 1 });
  if (action === "destroy") session.destroy();
  if (action === "regenerate") session.regenerate();
  if (action === "authenticate") session.authenticate("ada");
}

function isRotation(action: Action): boolean {
  return action === "authenticate" || action === "regenerate";
}

/** A sign-out that was refused is told nothing. */
function endsSession({ action, loadedId, visit }: Report): boolean {
  return (action === "revoke" || (action === "destroy" && visit.setCookies.length > 0)) && loadedId !== undefined;
}

/** Whether a request has replaced the secret of a session, or tried to. */
function replacesSecret({ action, loadedId }: Report, id: string): boolean {
  return isRotation(action) && loadedId === id;
}
