/** Something that happened. */
export interface Entry {
  readonly id: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly text: string;
  readonly tone: Tone;
  /** The server that it happened to, for a mark in the charts. */
  readonly server: string | undefined;
}

export type Tone = "plain" | "good" | "bad";

/** What has happened, the newest last. */
export interface Journal {
  readonly entries: readonly Entry[];
  note(text: string, tone?: Tone, server?: string): void;
  /** Tells of every new entry. */
  listen(listener: (entry: Entry) => void): void;
}

const MOST = 200;

export function createJournal(): Journal {
  const entries: Entry[] = [];
  const listeners: ((entry: Entry) => void)[] = [];
  let count = 0;
  return {
    entries,
    note(text, tone = "plain", server = undefined) {
      const entry = { id: ++count, at: Date.now(), text, tone, server };
      if (entries.push(entry) > MOST) entries.shift();
      for (const listener of listeners) listener(entry);
    },
    listen: (listener) => void listeners.push(listener),
  };
}
