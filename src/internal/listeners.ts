/**
 * Those who want to be told of something.
 *
 * @module
 */

/** See {@link listeners}. */
export interface Listeners<T> {
  /** Tells `listener` from now on. Returns what ends it; ending it twice does no harm. */
  add(listener: (value: T) => void): () => void;
  /** Tells everybody. Listeners do not throw. */
  tell(value: T): void;
}

/** Nobody, at first. One function that was added twice is told twice. */
export function listeners<T>(): Listeners<T> {
  const all = new Set<{ readonly listener: (value: T) => void }>();
  return {
    add(listener) {
      const entry = { listener };
      all.add(entry);
      return () => void all.delete(entry);
    },
    tell(value) {
      for (const { listener } of all) listener(value);
    },
  };
}
