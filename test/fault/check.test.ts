import { describe, expect, test } from "vitest";
import { check, longestStale, type Findings } from "./check.ts";
import type { Action, Line, Outcome, RequestLine, SessionData } from "./history.ts";

/** A history by hand: one client, whose every request takes 10 ms and begins 100 ms after the one before. */
function story(): {
  readonly lines: Line[];
  add(action: Action, outcome: Outcome, more?: Partial<RequestLine>): void;
  final(session: string, data: SessionData | undefined): void;
} {
  const lines: Line[] = [];
  let time = 0;
  return {
    lines,
    add(action, outcome, more = {}) {
      time += 100;
      const at = { from: time, until: time + 10 };
      lines.push({ did: "request", client: 0, app: 0, action, outcome, ...at, ...more });
    },
    final: (session, data) => void lines.push({ did: "final", session, data }),
  };
}

const NOTHING: SessionData = { n: 0, log: [], keys: [] };
const HERE = { token: "t1", loaded: "s1", session: "s1" };
const CLEAN: Findings = {
  lost: [],
  resurrected: [],
  oldSecrets: [],
  repeated: [],
  phantoms: [],
  signedOut: [],
  cookies: [],
  bugs: [],
};

/** The kinds of wrong that a history has, with how often. */
function wrongs(lines: readonly Line[]): Record<string, number> {
  const found = Object.entries(check(lines)).filter(([, texts]) => texts.length > 0);
  return Object.fromEntries(found.map(([kind, texts]) => [kind, texts.length]));
}

function signedIn(): ReturnType<typeof story> {
  const it = story();
  it.add("sign-in", "written", { session: "s1", issued: "t1", began: NOTHING });
  return it;
}

describe("a history without wrong", () => {
  test("sessions that lived, were renewed, rotated and ended are in order", () => {
    const it = signedIn();
    it.add("add", "written", HERE);
    it.add("append", "written", { ...HERE, entry: "a" });
    it.add("read", "unchanged", { ...HERE, issued: "t2" });
    it.add("key", "written", { ...HERE, token: "t1", entry: "k" });
    it.add("rotate", "written", { ...HERE, token: "t2", issued: "t3" });
    it.add("read", "anonymous", { token: "t2" });
    it.add("sign-out", "written", { ...HERE, token: "t3", ended: ["s1"], cleared: true });
    it.add("read", "anonymous", { token: "t3", cleared: true });
    it.add("sign-in", "written", { session: "s2", issued: "t4", began: NOTHING });
    it.add("append", "written", { token: "t4", loaded: "s2", session: "s2", entry: "b" });
    it.final("s1", undefined);
    it.final("s2", { n: 0, log: ["b"], keys: [] });
    expect(check(it.lines)).toEqual(CLEAN);
  });

  test("what was not answered may have been done or not", () => {
    for (const n of [1, 2, 3]) {
      const it = signedIn();
      it.add("add", "written", HERE);
      it.add("add", "failed", { token: "t1" });
      it.add("add", "unanswered", { token: "t1" });
      it.final("s1", { ...NOTHING, n });
      expect(check(it.lines)).toEqual(CLEAN);
    }
  });

  test("what throws out everywhere ends sessions, too, whose client never got their new secret", () => {
    const it = signedIn();
    it.add("rotate", "unanswered", { token: "t1" });
    it.add("read", "anonymous", { token: "t1" });
    it.add("sign-in", "written", { session: "s2", issued: "t2", began: NOTHING });
    const all = { token: "t2", loaded: "s2", session: undefined, ended: ["s2"] };
    it.add("revoke", "written", { ...all, endedAll: true });
    it.final("s1", undefined);
    it.final("s2", undefined);
    expect(check(it.lines)).toEqual(CLEAN);
    const without = it.lines.map((line) =>
      line.did === "request" ? Object.assign({}, line, { endedAll: false }) : line,
    );
    expect(wrongs(without)).toEqual({ lost: 1 });
  });

  test("an unanswered sign-out may have ended the session or not", () => {
    for (const data of [undefined, NOTHING]) {
      const it = signedIn();
      it.add("sign-out", "failed", { token: "t1" });
      it.final("s1", data);
      expect(check(it.lines)).toEqual(CLEAN);
    }
  });

  test("a session that a fault ended may hold nothing", () => {
    const it = signedIn();
    it.add("add", "written", HERE);
    it.lines.push({ did: "loss", sessions: "all", from: 300, until: 310 });
    it.final("s1", undefined);
    expect(check(it.lines)).toEqual(CLEAN);
  });

  test("a sign-in that finds its session taken begins another one with what it had", () => {
    const it = signedIn();
    it.add("add", "written", HERE);
    it.add("rotate", "written", {
      token: "t1",
      loaded: "s1",
      session: "s2",
      issued: "t2",
      began: { ...NOTHING, n: 1 },
    });
    it.add("add", "written", { token: "t2", loaded: "s2", session: "s2" });
    it.final("s1", { ...NOTHING, n: 1 });
    it.final("s2", { ...NOTHING, n: 2 });
    expect(check(it.lines)).toEqual(CLEAN);
  });
});

describe("lost", () => {
  test("an addition, an entry and a key that were acknowledged and are not there", () => {
    const it = signedIn();
    it.add("add", "written", HERE);
    it.add("append", "written", { ...HERE, entry: "a" });
    it.add("key", "written", { ...HERE, entry: "k" });
    it.final("s1", NOTHING);
    expect(wrongs(it.lines)).toEqual({ lost: 3 });
  });

  test("an addition among unanswered ones", () => {
    const it = signedIn();
    for (let n = 0; n < 3; n++) it.add("add", "written", HERE);
    it.add("add", "failed", { token: "t1" });
    it.final("s1", { ...NOTHING, n: 2 });
    expect(wrongs(it.lines)).toEqual({ lost: 1 });
  });

  test("a session with all that was in it", () => {
    const it = signedIn();
    it.add("add", "written", HERE);
    it.final("s1", undefined);
    expect(wrongs(it.lines)).toEqual({ lost: 2 });
  });

  test("what a session brought along from the one before", () => {
    const it = signedIn();
    it.add("rotate", "written", {
      token: "t1",
      loaded: "s1",
      session: "s2",
      issued: "t2",
      began: { n: 2, log: ["a"], keys: [] },
    });
    it.final("s2", { n: 1, log: [], keys: [] });
    expect(wrongs(it.lines)).toEqual({ lost: 2 });
  });
});

describe("resurrected", () => {
  test("a session that is seen after an acknowledged sign-out, or is there in the end", () => {
    const it = signedIn();
    it.add("sign-out", "written", { ...HERE, ended: ["s1"] });
    it.add("read", "unchanged", HERE);
    it.final("s1", NOTHING);
    expect(wrongs(it.lines)).toEqual({ resurrected: 2 });
  });

  test("a session that is seen by a request that could not write to it any more", () => {
    const it = signedIn();
    it.add("sign-out", "written", { ...HERE, ended: ["s1"] });
    it.add("add", "gone", HERE);
    expect(wrongs(it.lines)).toEqual({ resurrected: 1 });
  });

  test("not one that a request saw which began before the sign-out was answered", () => {
    const it = signedIn();
    it.add("sign-out", "written", { ...HERE, ended: ["s1"], from: 200, until: 400 });
    it.add("read", "unchanged", { ...HERE, from: 399, until: 500 });
    expect(check(it.lines)).toEqual(CLEAN);
  });

  test("a session whose unanswered sign-out had been seen to work", () => {
    const it = signedIn();
    it.add("sign-out", "unanswered", { token: "t1" });
    it.add("read", "anonymous", { token: "t1" });
    it.add("read", "unchanged", HERE);
    expect(wrongs(it.lines)).toEqual({ resurrected: 1 });
  });

  test("not one whose unanswered sign-out was not done, where the refused secret may have been lost", () => {
    const it = signedIn();
    it.add("sign-out", "unanswered", { token: "t1" });
    it.add("read", "anonymous", { token: "t1" });
    it.add("read", "unchanged", HERE);
    expect(check(it.lines, { mayLose: true })).toEqual(CLEAN);
  });

  test("a session that a fault had ended", () => {
    const it = signedIn();
    it.lines.push({ did: "loss", sessions: ["s1"], from: 150, until: 160 });
    it.add("read", "unchanged", HERE);
    expect(wrongs(it.lines)).toEqual({ resurrected: 1 });
  });
});

describe("the rest", () => {
  test("old secrets: one that was accepted after its replacement was acknowledged", () => {
    const it = signedIn();
    it.add("rotate", "written", { ...HERE, issued: "t2" });
    it.add("read", "unchanged", HERE);
    expect(wrongs(it.lines)).toEqual({ oldSecrets: 1 });
  });

  test("old secrets: a renewed one too, once the session was rotated", () => {
    const it = signedIn();
    it.add("read", "unchanged", { ...HERE, issued: "t2" });
    it.add("rotate", "written", { ...HERE, token: "t2", issued: "t3" });
    it.add("read", "unchanged", { ...HERE, token: "t1" });
    expect(wrongs(it.lines)).toEqual({ oldSecrets: 1 });
  });

  test("repeated: an addition too many, an entry that is there twice", () => {
    const it = signedIn();
    it.add("add", "written", HERE);
    it.add("add", "failed", { token: "t1" });
    it.add("append", "failed", { token: "t1", entry: "a" });
    it.final("s1", { n: 3, log: ["a", "a"], keys: [] });
    expect(wrongs(it.lines)).toEqual({ repeated: 2 });
  });

  test("phantoms: a change whose request was told that nothing was written", () => {
    const it = signedIn();
    it.add("append", "gone", { ...HERE, entry: "a" });
    it.final("s1", { n: 0, log: ["a"], keys: [] });
    expect(wrongs(it.lines)).toEqual({ phantoms: 1 });
  });

  test("signed out: a token that was refused for nothing", () => {
    const it = signedIn();
    it.add("read", "anonymous", { token: "t1" });
    expect(wrongs(it.lines)).toEqual({ signedOut: 1 });
  });

  test("signed out: a token that was renewed once and is still good, not one that was renewed twice", () => {
    const it = signedIn();
    it.add("read", "unchanged", { ...HERE, issued: "t2" });
    it.add("read", "anonymous", { token: "t1" });
    expect(wrongs(it.lines)).toEqual({ signedOut: 1 });
    it.lines.pop();
    it.add("read", "unchanged", { ...HERE, token: "t2", issued: "t3" });
    it.add("read", "anonymous", { token: "t1" });
    expect(check(it.lines)).toEqual(CLEAN);
  });

  test("signed out: not while a rotation is under way, nor after one that nobody answered", () => {
    const it = signedIn();
    it.add("rotate", "unanswered", { token: "t1" });
    it.add("read", "anonymous", { token: "t1" });
    expect(check(it.lines)).toEqual(CLEAN);
  });

  test("cookies: a failed answer that sets one which is worth nothing, or removes one whose session is still there", () => {
    const it = signedIn();
    it.add("add", "failed", { token: "t1", issued: "t2" });
    it.add("read", "anonymous", { token: "t2" });
    it.add("read", "failed", { token: "t1", cleared: true });
    it.final("s1", NOTHING);
    expect(wrongs(it.lines)).toEqual({ cookies: 2 });
  });

  test("cookies: not when the store had done it after all, as the answer says", () => {
    const it = signedIn();
    it.add("sign-out", "failed", { token: "t1", cleared: true });
    it.add("sign-in", "failed", { issued: "t2" });
    it.add("read", "unchanged", { token: "t2", loaded: "s2", session: "s2" });
    it.final("s1", undefined);
    it.final("s2", NOTHING);
    expect(check(it.lines)).toEqual(CLEAN);
  });

  test("bugs: an answer that is no error by name, a process that ended", () => {
    const it = signedIn();
    it.add("read", "bug", { token: "t1" });
    it.lines.push({ did: "crash", app: 1, at: 500 });
    expect(wrongs(it.lines)).toEqual({ bugs: 2 });
  });
});

describe("a history of servers with near caches", () => {
  /** Signs out at 310 ms, and is seen again by a request that asked at `served`. */
  function seenAgain(action: Action, outcome: Outcome, served: number): ReturnType<typeof story> {
    const it = signedIn();
    it.add("add", "written", HERE);
    it.add("sign-out", "written", { ...HERE, ended: ["s1"], cleared: true });
    it.add(action, outcome, { ...HERE, served });
    it.final("s1", undefined);
    return it;
  }

  test.each([
    [400, []],
    [2_309, []],
    [2_310, ["resurrected"]],
  ])("a session may be read for as long as a copy may be served: asked for at %i ms", (served, kinds) => {
    const { lines } = seenAgain("read", "unchanged", served);
    const found = Object.entries(check(lines, { staleFor: 2_000 })).filter(([, texts]) => texts.length > 0);
    expect(found.map(([kind]) => kind)).toEqual(kinds);
    expect(longestStale(lines)).toBe(served - 310);
  });

  test("nothing may be written to an ended session, however fresh its copy", () => {
    const { lines } = seenAgain("add", "written", 400);
    expect(check(lines, { staleFor: 2_000 }).resurrected).toHaveLength(1);
  });

  test("who signs in on a copy of an ended session has written to another one", () => {
    const it = signedIn();
    it.add("sign-out", "written", { ...HERE, ended: ["s1"], cleared: true });
    it.add("sign-in", "written", {
      token: "t1",
      loaded: "s1",
      session: "s2",
      issued: "t2",
      began: NOTHING,
      served: 300,
    });
    it.final("s2", NOTHING);
    expect(check(it.lines, { staleFor: 2_000 })).toEqual(CLEAN);
    expect(check(it.lines).resurrected).toHaveLength(1);
  });

  test("what is there in the end is there, however old copies may be", () => {
    const it = seenAgain("read", "unchanged", 400);
    it.lines.pop();
    it.final("s1", NOTHING);
    expect(check(it.lines, { staleFor: 1e9 }).resurrected).toHaveLength(1);
  });

  test("a replaced secret, too, is accepted for so long and no longer", () => {
    const it = signedIn();
    it.add("rotate", "written", { ...HERE, issued: "t2" });
    it.add("read", "unchanged", { ...HERE, served: 1_000 });
    expect(check(it.lines, { staleFor: 2_000 }).oldSecrets).toEqual([]);
    it.add("read", "unchanged", { ...HERE, served: 2_300 });
    expect(check(it.lines, { staleFor: 2_000 }).oldSecrets).toHaveLength(1);
  });
});
