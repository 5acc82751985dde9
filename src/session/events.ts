/**
 * What happened to sessions, for logs, metrics and alarms. Events carry public ids and reasons, never a token, a secret or
 * data.
 *
 * @module
 */
import type { StoreError } from "../errors.ts";
import { isPromise } from "../internal/maybe-promise.ts";

/** Why a token was not accepted. */
export type RejectionReason =
  /** Not of the form of a token. The store was not asked. */
  | "malformed"
  /** The MAC, seal or signature is not ours. The store was not asked. */
  | "forged"
  /** No such session: ended, expired and swept, or never there. */
  | "unknown"
  /** One of its clocks ran out. */
  | "expired"
  /** The id exists, the secret is not its. */
  | "unknown-secret"
  /** The secret was renewed between 30 seconds and 5 minutes ago. */
  | "superseded"
  /** The secret was renewed more than 5 minutes ago. */
  | "replay"
  /** Several same-named tokens, of which more than one is valid. */
  | "ambiguous"
  /** More than four same-named tokens. None was tried. */
  | "too-many"
  /** The stored record cannot be read. */
  | "corrupt"
  /** The data does not fit the schema, and `migrate` did not help. */
  | "invalid-data"
  /** Its subject's sessions were revoked, or it was. */
  | "revoked";

/** Why a session ended. */
export type EndReason =
  /** `destroy()`. */
  | "destroy"
  /** A renewed secret came back (P6). */
  | "replay"
  /** Somebody else signed in with it (P16). */
  | "other-subject";

/** Why a request could not write any more. */
export type GoneReason =
  /** The session was ended, or its clocks ran out. */
  | "ended"
  /** Somebody signed in, or the secret was replaced, after the request had begun. */
  | "signed-in-anew";

/** What can happen. */
export type SessionEventType =
  /** A new session was stored (by id) or issued (by value). */
  | "created"
  /** Data or flash messages were written, or what CSRF tokens are made of. */
  | "updated"
  /** Somebody signed in, or again. */
  | "authenticated"
  /** The secret was replaced by `regenerate()`. */
  | "regenerated"
  /** The next secret was offered to the client (P9). */
  | "renewed"
  /** The client was seen with it (P6). */
  | "confirmed"
  /** The same session was issued again, under the current key. */
  | "reissued"
  /** The end was moved, because the session was used. */
  | "touched"
  /** It was ended by a request. */
  | "destroyed"
  /** `manager.revoke()` or `revokeAll()` ended it. */
  | "revoked"
  /**
   * It had ended by its clocks, and is now removed from the store, at the earliest five minutes later. Told in the process
   * that sweeps it, so listen in all of them: then it is told at least once, and now and then twice.
   */
  | "expired"
  /** A token was not accepted; see `reason`. */
  | "rejected"
  /** A request wanted to write to a session that had ended or was signed in anew meanwhile (P13, P15). Nothing was written. */
  | "gone"
  /** Another request wrote first; what follows is a merge, a retry or an error. */
  | "conflict"
  /** Data of an older shape went through `migrate`. */
  | "migrated"
  /** A store call failed. Where the request went on without it (a touch, a renewal), this is the only trace. */
  | "store-error"
  /** The store has not answered several times in a row: calls fail at once from now on, but for one now and then. */
  | "store-down"
  /** It answers again. */
  | "store-up";

/** One thing that happened. */
export interface SessionEvent {
  readonly type: SessionEventType;
  /** The definition's name. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The session's public id, where one is known. */
  readonly id?: string;
  readonly subject?: string;
  /** With `rejected`, `destroyed` and `gone`. */
  readonly reason?: RejectionReason | EndReason | GoneReason;
  /** With `store-error`. */
  readonly error?: StoreError;
}

/** What an event says beyond its type. */
export type SessionEventDetail = {
  readonly [Key in "id" | "subject" | "reason" | "error"]?: SessionEvent[Key] | undefined;
};

/** Called for an event. What it throws is reported and changes nothing. */
export type SessionListener = (event: SessionEvent) => void;

/** The events of one definition. */
export interface Events {
  /** Calls `listener` for each event of a type, or of every type (`"*"`). Returns what ends it. */
  on(type: SessionEventType | "*", listener: SessionListener): () => void;
  emit(type: SessionEventType, detail?: SessionEventDetail): void;
  /** Where events of a type come from: begun when the first listens, ended when nobody does any more. */
  feed(type: SessionEventType, begin: Feed): void;
}

/**
 * Begins to emit events of a type; returns what ends that. `byName`: somebody asked for this type, and not for all; where it
 * cannot be had, that is an error.
 */
export type Feed = (byName: boolean) => (() => void) | undefined;

/** Makes the events of a definition. */
export function sessionEvents(name: string, now: () => number): Events {
  const listeners = new Map<string, Set<SessionListener>>();
  const feeds: { readonly type: SessionEventType; readonly begin: Feed; end: (() => void) | undefined }[] = [];

  function begin(type: SessionEventType | "*"): void {
    for (const feed of feeds) {
      if (type === feed.type || type === "*") feed.end ??= feed.begin(type !== "*");
    }
  }

  function end(): void {
    for (const feed of feeds) {
      if (listeners.has(feed.type) || listeners.has("*")) continue;
      feed.end?.();
      feed.end = undefined;
    }
  }

  function call(key: string, event: SessionEvent): void {
    for (const listener of listeners.get(key) ?? []) {
      // An alarm that fails, now or later, must not keep a session from being ended.
      try {
        const returned: unknown = listener(event);
        if (isPromise(returned)) returned.then(undefined, (error: unknown) => complain(event, error));
      } catch (error) {
        complain(event, error);
      }
    }
  }

  return {
    on(type, listener) {
      begin(type);
      const set = listeners.get(type) ?? new Set();
      listeners.set(type, set.add(listener));
      return () => {
        if (!set.delete(listener) || set.size > 0) return;
        listeners.delete(type);
        end();
      };
    },
    feed: (type, source) => void feeds.push({ type, begin: source, end: undefined }),
    emit(type, detail) {
      if (listeners.size === 0) return;
      const event = withoutUndefined({ type, name, at: now(), ...detail });
      call(type, event);
      call("*", event);
    },
  };
}

function complain({ type }: SessionEvent, error: unknown): void {
  console.error(`coatcheck: a listener for "${type}" events threw`, error);
}

function withoutUndefined(event: SessionEventDetail & Pick<SessionEvent, "type" | "name" | "at">): SessionEvent {
  return Object.fromEntries(
    Object.entries(event).filter(([, value]) => value !== undefined),
  ) as unknown as SessionEvent;
}
