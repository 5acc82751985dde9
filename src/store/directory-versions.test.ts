import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { type Disk, machineDisk } from "./directory-disk.ts";
import { ABANDONED_AFTER, type Decision, type VersionStore, versionsOn } from "./directory-versions.ts";

/**
 * The protocol of one session, as a register: a text or nothing, texts that begin with `x` being tombstones and those that
 * begin with `e` being expired, though not for a server whose clock is late. Every operation is run on the real thing
 * while another one stands still between two of its steps on the disk, and on a plain variable in every order.
 */

// Names that are the same when a piece of work is done a second time, up to where it was stopped: see `suspendable`.
const random = vi.hoisted(() => ({ counter: 0 }));
vi.mock("../internal/crypto.ts", () => ({
  randomBytes: (length: number) => {
    const bytes = new Uint8Array(length);
    new DataView(bytes.buffer).setUint32(0, ++random.counter);
    return bytes;
  },
}));

const SESSION = "/root/name/sh/id";
const DRAFTS = "/root/.drafts";

interface Inode {
  text: string;
  names: number;
}

/** A file system in memory that behaves as POSIX says, with a count of how often each file name was made. */
function memoryDisk(): Disk & { readonly paths: () => readonly string[]; readonly made: Map<string, number> } {
  const directories = new Map<string, number>([
    ["/", 0],
    ["/root", 0],
    [DRAFTS, 0],
  ]);
  const files = new Map<string, Inode>();
  const open = new Map<number, Inode>();
  const made = new Map<string, number>();
  let handles = 0;
  const inside = (directory: string): string[] =>
    [...files.keys(), ...directories.keys()].filter((path) => path !== "/" && dirname(path) === directory);
  const make = (path: string, inode: Inode): void => {
    files.set(path, inode);
    inode.names++;
    made.set(path, (made.get(path) ?? 0) + 1);
  };
  const moveDirectory: Disk["moveDirectory"] = (from, to) => {
    if (!directories.has(from) || !directories.has(dirname(to))) return "absent";
    if (inside(to).length > 0) return "exists";
    directories.delete(from);
    directories.set(to, 0);
    for (const path of inside(from)) {
      make(path.replace(from, to), files.get(path)!);
      files.delete(path);
    }
    return "ok";
  };
  return {
    made,
    paths: () => [...files.keys(), ...directories.keys()].toSorted(),
    isDirectory: (path) => directories.has(path),
    list(path) {
      if (!directories.has(path)) return undefined;
      const named = (wanted: Map<string, unknown>) =>
        inside(path)
          .filter((found) => wanted.has(found))
          .map((found) => found.slice(path.length + 1));
      return { files: named(files), directories: named(directories) };
    },
    read: (path) => files.get(path)?.text,
    modifiedAt: (path) => (files.has(path) || directories.has(path) ? 0 : undefined),
    open(path) {
      if (!directories.has(dirname(path))) return undefined;
      if (files.has(path)) throw new Error(`EEXIST ${path}`);
      const inode = { text: "", names: 0 };
      make(path, inode);
      open.set(++handles, inode);
      return handles;
    },
    write: (file, text) => void (open.get(file)!.text += text),
    close: (file) => void open.delete(file),
    link(from, to) {
      const inode = files.get(from);
      if (inode === undefined || !directories.has(dirname(to))) return "absent";
      if (files.has(to)) return "exists";
      make(to, inode);
      return "ok";
    },
    moveDirectory,
    moveFile: () => false,
    unlink: (path) => files.delete(path),
    makeDirectory(path) {
      for (let at = path; !directories.has(at); at = dirname(at)) directories.set(at, 0);
    },
    removeDirectory: (path) => inside(path).length === 0 && directories.delete(path),
    sync: () => undefined,
  };
}

/** A disk that calls `before` ahead of every step. */
function stepping(disk: Disk, before: (step: string) => void): Disk {
  const wrapped = Object.entries(disk).map(([name, act]) => [
    name,
    (...given: unknown[]) => {
      before(name);
      return (act as (...values: unknown[]) => unknown)(...given);
    },
  ]);
  return Object.fromEntries(wrapped) as Disk;
}

type State = string | undefined;

interface Operation {
  readonly name: string;
  readonly run: (versions: VersionStore, session: string) => unknown;
  /** The same on a variable. */
  readonly model: (state: State) => readonly [answer: unknown, next: State];
}

let time = 1_000;
const now = (): number => ++time;

const live = (state: State): State => (state?.startsWith("x") === true ? undefined : state);
const punctual = (state: State): State => (state?.startsWith("e") === true ? undefined : live(state));

function changing(
  name: string,
  decide: (state: State) => Decision<unknown>,
  see: (state: State) => State = live,
): Operation {
  return {
    name,
    run: (versions, session) => versions.change(session, (newest) => decide(see(newest?.text))),
    model(state) {
      const { answer, write } = decide(see(state));
      return [answer, write ?? state];
    },
  };
}

/** A sweep of a time when everything is old that is there. */
function sweep(versions: VersionStore, session: string): void {
  time += 2 * ABANDONED_AFTER;
  versions.sweep(session, ({ text }) => text.startsWith("x"));
}

const read: Operation = {
  name: "read",
  run: (versions, session) => live(versions.newest(session)?.text),
  model: (state) => [live(state), state],
};

let writes = 0;
const update = (from: string, to: string): Operation =>
  changing(`update ${from}→${to}`, (state) => {
    if (state === undefined) return { answer: "gone" };
    return state === from ? { answer: "ok", write: to } : { answer: "conflict" };
  });
const create = (text: string): Operation =>
  changing(
    `create ${text}`,
    (state) => (state === undefined ? { answer: true, write: text } : { answer: false }),
    punctual,
  );
const touch = changing("touch", (state) =>
  state === undefined ? { answer: false } : { answer: true, write: `${state.replace("e", "t")}+` },
);
const remove = changing("delete", (state) => (state === undefined ? { answer: false } : { answer: true, write: "x" }));
const sweepTombstone: Operation = {
  name: "sweep",
  run: sweep,
  model: (state) => [undefined, live(state)],
};
const bury = changing("bury", (state) =>
  state?.startsWith("e") === true ? { answer: true, write: "x" } : { answer: false },
);
const sweepExpired: Operation = {
  name: "sweep of expired ones",
  run(versions, session) {
    const answer = bury.run(versions, session);
    sweep(versions, session);
    return answer;
  },
  model: bury.model,
};

const OPERATIONS = [
  create("a"),
  read,
  update("a", "b"),
  update("e", "f"),
  touch,
  remove,
  sweepTombstone,
  sweepExpired,
] as const;

/** How a session can be before it starts. */
const BEGINNINGS: Readonly<Record<string, readonly Operation[]>> = {
  "that is not there": [],
  "that was created": [create("a")],
  "that was updated": [create("z"), update("z", "y"), update("y", "a")],
  "that has expired": [create("z"), update("z", "e")],
  "that was deleted": [create("z"), remove],
  "that was swept": [create("z"), remove, sweepTombstone],
};

/** What others do while one stands still. The last ones come round to the same content. */
const INTRUSIONS: readonly (readonly Operation[])[] = [
  ...OPERATIONS.map((operation) => [operation]),
  [remove, sweepTombstone],
  [remove, create("a")],
  [remove, sweepTombstone, create("a")],
  [remove, sweepTombstone, create("a"), remove, sweepTombstone],
  [sweepExpired, create("a")],
  [sweepExpired, create("e"), touch],
  [create("a"), update("a", "b"), update("b", "c")],
  [update("a", "b"), update("b", "a")],
  [update("a", "b"), update("b", "c"), update("c", "d"), update("d", "a")],
  [touch, touch, touch, touch, touch],
  [update("e", "a"), update("a", "b"), remove],
];

interface World {
  readonly disk: Disk;
  readonly session: string;
  readonly drafts: string;
}

/** All answers and what is there at the end, as a text. */
function outcome(answers: readonly unknown[], state: State): string {
  return JSON.stringify([...answers, live(state)], (_, value: unknown) => value ?? null);
}

/** What may come out when `one` runs at any time before, between or after the others. */
function allowed(state: State, one: Operation, others: readonly Operation[]): Set<string> {
  const outcomes = new Set<string>();
  for (let at = 0; at <= others.length; at++) {
    const order = [...others.slice(0, at), one, ...others.slice(at)];
    let current = state;
    const answers = order.map(({ model }) => {
      const [answer, next] = model(current);
      current = next;
      return answer;
    });
    outcomes.add(outcome([answers[at], ...answers.toSpliced(at, 1)], current));
  }
  return outcomes;
}

function begin(world: World, beginning: readonly Operation[]): State {
  const versions = versionsOn(world.disk, { drafts: world.drafts, now });
  for (const { run } of beginning) run(versions, world.session);
  return beginning.reduce<State>((state, { model }) => model(state)[1], undefined);
}

/** Runs `one` and lets the others do their work ahead of its step number `at`; undefined when it has fewer steps. */
function interrupted(world: World, one: Operation, others: readonly Operation[], at: number): string | undefined {
  const plain = versionsOn(world.disk, { drafts: world.drafts, now });
  const answers: unknown[] = [];
  let steps = 0;
  const before = (): void => {
    if (steps++ === at) for (const { run } of others) answers.push(run(plain, world.session));
  };
  const answer = one.run(versionsOn(stepping(world.disk, before), { drafts: world.drafts, now }), world.session);
  if (steps <= at) return undefined;
  return outcome([answer, ...answers], plain.newest(world.session)?.text);
}

/** Tries every operation against every intrusion at every step; returns how many runs that took. */
function explore(
  makeWorld: () => World,
  beginning: readonly Operation[],
  intrusions: readonly (readonly Operation[])[],
  check: (world: World) => void,
): number {
  let runs = 0;
  for (const one of OPERATIONS) {
    for (const others of intrusions) {
      for (let at = 0; ; at++, runs++) {
        const world = makeWorld();
        const state = begin(world, beginning);
        const result = interrupted(world, one, others, at);
        if (result === undefined) break;
        const story = `${one.name}, interrupted before step ${at} by ${others.map(({ name }) => name).join(", ")}`;
        const possible = allowed(state, one, others);
        if (!possible.has(result)) expect.fail(`${story}: ${result}, which is none of ${[...possible].join(" ")}`);
        check(world);
      }
    }
  }
  return runs;
}

const inMemory = (): World & { disk: ReturnType<typeof memoryDisk> } => ({
  disk: memoryDisk(),
  session: SESSION,
  drafts: DRAFTS,
});

describe("P29: one writer stands still before any step while others do all their work, on a session", () => {
  for (const [name, beginning] of Object.entries(BEGINNINGS)) {
    test(`${name}: everything comes out as if it had been done one after the other`, () => {
      const runs = explore(inMemory, beginning, INTRUSIONS, namesUsedOnce);
      expect(runs).toBeGreaterThan(250);
    });
  }
});

describe("P29: one writer stands still while another one stands still while a third one works, on a session", () => {
  const INNER = [create("a"), update("a", "b"), touch, remove, sweepTombstone, sweepExpired];
  for (const [name, beginning] of Object.entries(BEGINNINGS)) {
    test(`${name}: everything comes out as if it had been done in some order`, () => {
      let runs = 0;
      for (const one of INNER) {
        for (const two of INNER) {
          for (const three of [create("c"), touch, remove, sweepExpired])
            runs += exploreThree(beginning, [one, two, three]);
        }
      }
      expect(runs).toBeGreaterThan(700);
    });
  }

  function exploreThree(
    beginning: readonly Operation[],
    [one, two, three]: readonly [Operation, Operation, Operation],
  ): number {
    let runs = 0;
    for (let outer = 0; ; outer++) {
      for (let inner = 0; ; inner++, runs++) {
        const world = inMemory();
        const state = begin(world, beginning);
        let nested: string | undefined;
        const middle: Operation = {
          ...two,
          run() {
            nested = interrupted(world, two, [three], inner);
            return nested;
          },
        };
        const result = interrupted(world, one, [middle], outer);
        if (result === undefined) return runs;
        if (nested === undefined) break;
        const [answer] = JSON.parse(result) as unknown[];
        const [second, third] = JSON.parse(nested) as unknown[];
        const end = versionsOn(world.disk, { drafts: DRAFTS, now }).newest(SESSION)?.text;
        const seen = outcome([answer, second, third], end);
        const orders = inAllOrders(state, [one, two, three]);
        const story = `${one.name} stands before step ${outer}, ${two.name} before step ${inner}, ${three.name} runs`;
        if (!orders.includes(seen)) expect.fail(`${story}: ${seen}, which is none of ${orders.join(" ")}`);
      }
    }
  }
});

/** An operation that can be stopped before any step and go on later, whatever else goes on in between. */
interface Suspendable {
  /** Does the next `steps` steps; true when that was the end. */
  advance(steps: number): boolean;
  readonly answer: () => unknown;
}

/**
 * Code that does not wait cannot be stopped in the middle. So it is broken off there by an error, and goes on by being
 * run again from its start, the steps that it did before giving the results that they gave, and doing nothing.
 */
function suspendable({ disk, session, drafts }: World, { run }: Operation): Suspendable {
  const firstName = (random.counter += 1_000);
  const startedAt = now();
  const results: unknown[] = [];
  let answer: unknown;
  return {
    answer: () => answer,
    advance(steps) {
      const end = results.length + steps;
      let at = 0;
      const replaying = Object.entries(disk).map(([name, act]) => [
        name,
        (...given: unknown[]) => {
          if (at === end) throw new Error("stopped");
          if (at === results.length) results.push((act as (...values: unknown[]) => unknown)(...given));
          return results[at++];
        },
      ]);
      const later = random.counter;
      random.counter = firstName;
      try {
        answer = run(versionsOn(Object.fromEntries(replaying) as Disk, { drafts, now: () => startedAt }), session);
        return true;
      } catch (error) {
        expect(error).toEqual(new Error("stopped"));
        return false;
      } finally {
        random.counter = later + 1_000;
      }
    },
  };
}

describe("P29: two writers stand still and go on in turns while a third one works, on a session", () => {
  const FIRST = [create("a"), update("a", "b"), touch, remove, sweepTombstone, sweepExpired];
  const SECOND = [create("b"), touch, remove, sweepTombstone, sweepExpired];
  const THIRD = [create("c"), touch, remove];
  /** Who goes on, for how long; the rest is in this order. */
  type Turns = readonly (readonly [who: 0 | 1 | 2, steps: number])[];
  const SCHEDULES: readonly ((i: number, j: number) => Turns)[] = [
    (i, j) => [
      [0, i],
      [2, Infinity],
      [1, j],
      [0, Infinity],
      [1, Infinity],
    ],
    (i, j) => [
      [0, i],
      [1, j],
      [0, Infinity],
      [2, Infinity],
      [1, Infinity],
    ],
    (i, j) => [
      [0, i],
      [1, j],
      [2, Infinity],
      [0, Infinity],
      [1, Infinity],
    ],
  ];

  for (const [name, beginning] of Object.entries(BEGINNINGS)) {
    test(`${name}: everything comes out as if it had been done in some order`, () => {
      let runs = 0;
      for (const one of FIRST) {
        for (const two of SECOND) {
          for (const three of THIRD) {
            for (const schedule of SCHEDULES) runs += scheduled(beginning, [one, two, three], schedule);
          }
        }
      }
      expect(runs).toBeGreaterThan(2_000);
    });
  }

  function scheduled(
    beginning: readonly Operation[],
    operations: readonly [Operation, Operation, Operation],
    schedule: (i: number, j: number) => Turns,
  ): number {
    let runs = 0;
    for (let i = 0, ended = false; !ended; i++) {
      for (let j = 0, inner = false; !inner; j++, runs++) {
        const world = inMemory();
        const state = begin(world, beginning);
        const work = operations.map((operation) => suspendable(world, operation));
        const turns = schedule(i, j);
        const finished = turns.map(([who, steps]) => work[who]!.advance(steps));
        ended = finished[0]!;
        inner = ended || finished[turns.findIndex(([who]) => who === 1)]!;
        const story = turns.map(([who, steps]) => `${operations[who].name} (${steps} steps)`).join(", ");
        const end = versionsOn(world.disk, { drafts: DRAFTS, now }).newest(SESSION)?.text;
        const seen = outcome(
          work.map(({ answer }) => answer()),
          end,
        );
        const possible = inAllOrders(state, operations);
        if (!possible.includes(seen)) expect.fail(`${story}: ${seen}, which is none of ${possible.join(" ")}`);
        namesUsedOnce(world);
      }
    }
    return runs;
  }
});

describe("P29: writers stand still and go on in any turns", () => {
  const CASTS: readonly (readonly Operation[])[] = [
    [create("a"), create("b"), remove, sweepTombstone, touch],
    [touch, touch, touch, touch, remove],
    [update("a", "b"), touch, update("b", "c"), touch, sweepExpired],
    [remove, sweepTombstone, create("a"), sweepTombstone, create("b")],
    [sweepExpired, create("a"), touch, remove, create("b")],
  ];
  // More of them: COATCHECK_RUNS=20000 npx vitest run src/store/directory-versions --testTimeout=200000
  const RUNS = Number(process.env["COATCHECK_RUNS"] ?? 1_000);

  for (const [i, cast] of CASTS.entries()) {
    test(`${cast.map(({ name }) => name).join(", ")}: as if it had been done in some order`, () => {
      const pick = generator(i + 1);
      for (let run = 0; run < RUNS; run++) {
        const beginnings = Object.values(BEGINNINGS);
        const world = inMemory();
        const state = begin(world, beginnings[pick(beginnings.length)]!);
        const work = cast.map((operation) => suspendable(world, operation));
        const turns = [];
        for (const waiting = new Set(cast.keys()); waiting.size > 0;) {
          const who = [...waiting][pick(waiting.size)]!;
          const steps = 1 + pick(8);
          turns.push(`${cast[who]!.name} (${steps} steps)`);
          if (work[who]!.advance(steps)) waiting.delete(who);
        }
        const end = versionsOn(world.disk, { drafts: DRAFTS, now }).newest(SESSION)?.text;
        const seen = outcome(
          work.map(({ answer }) => answer()),
          end,
        );
        if (!inAllOrders(state, cast).includes(seen)) expect.fail(`${turns.join(", ")}: ${seen}`);
        namesUsedOnce(world);
      }
    });
  }

  /** A small generator of numbers (mulberry32), the same ones every time. */
  function generator(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
    };
  }
});

describe("P29: a writer is killed before any step, on a session", () => {
  for (const [name, beginning] of Object.entries(BEGINNINGS)) {
    test(`${name}: it has done all or nothing, others work on, and a sweep removes what it left`, () => {
      for (const one of OPERATIONS) {
        for (const after of [create("q"), update("a", "q"), touch, remove, sweepExpired]) {
          for (let at = 0; killedAt(beginning, one, after, at); at++);
        }
      }
    });
  }

  function killedAt(beginning: readonly Operation[], one: Operation, after: Operation, at: number): boolean {
    const world = inMemory();
    const state = begin(world, beginning);
    let steps = 0;
    const kill = (): void => {
      if (steps++ >= at) throw new Error("killed");
    };
    try {
      one.run(versionsOn(stepping(world.disk, kill), { drafts: DRAFTS, now }), SESSION);
    } catch (error) {
      expect(error).toEqual(new Error("killed"));
    }
    const story = `${one.name} killed before step ${at}, then ${after.name}`;
    const plain = versionsOn(world.disk, { drafts: DRAFTS, now });
    const seen = outcome([after.run(plain, SESSION)], plain.newest(SESSION)?.text);
    const possible = [state, one.model(state)[1]].map((current) => {
      const [answer, next] = after.model(current);
      return outcome([answer], next);
    });
    if (!possible.includes(seen)) expect.fail(`${story}: ${seen}, which is none of ${possible.join(" ")}`);
    remove.run(plain, SESSION);
    sweepTombstone.run(plain, SESSION);
    const left = world.disk.paths().filter((path) => path.startsWith(`${SESSION}`));
    if (left.length > 0) expect.fail(`${story}: ${left.join(" ")} is left over`);
    return steps > at;
  }
});

describe("on the file system of this machine", () => {
  const root = mkdtempSync(join(tmpdir(), "coatcheck-versions-"));
  afterAll(() => rmSync(root, { recursive: true, force: true }));
  const onDisk = (): World => {
    const home = join(root, String(++writes));
    mkdirSync(join(home, "drafts"), { recursive: true });
    return { disk: machineDisk(false), session: join(home, "name", "sh", "id"), drafts: join(home, "drafts") };
  };

  for (const name of ["that is not there", "that was updated", "that was deleted"] as const) {
    test(`a session ${name} comes out the same as in memory`, () => {
      const runs = explore(onDisk, BEGINNINGS[name]!, INTRUSIONS.slice(OPERATIONS.length, -4), (world) => {
        expect(readdirSync(world.drafts)).toEqual([]);
        rmSync(dirname(world.drafts), { recursive: true });
      });
      expect(runs).toBeGreaterThan(100);
    });
  }
});

/** What may come out when each of them runs at any time. */
function inAllOrders(state: State, operations: readonly Operation[]): readonly string[] {
  return permutations([...operations.keys()]).map((order) => {
    const answers: unknown[] = [];
    const last = order.reduce<State>((current, index) => {
      const [given, next] = operations[index]!.model(current);
      answers[index] = given;
      return next;
    }, state);
    return outcome(answers, last);
  });
}

function namesUsedOnce(world: World): void {
  for (const [path, times] of (world as ReturnType<typeof inMemory>).disk.made) {
    if (times > 1) expect.fail(`the name ${path} was used ${times} times`);
  }
}

function permutations<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length < 2) return [items];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item].concat(rest)));
}
