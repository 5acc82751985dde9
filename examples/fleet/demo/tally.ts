/** What the visitors have found out, all of them together. */
export interface Tally {
  /** Visitors that are in the shop, that have come, and that have left of their own will. */
  here: number;
  came: number;
  left: number;
  /** Who was signed in, had not signed out, and was not signed in any more. */
  signedOut: number;
  /** Pieces whose way into the cart was confirmed, and that were not in it. */
  lost: number;
  /** Pieces that were in a cart once too often. */
  doubled: number;
  /** Carts that came without a confirmed piece, which was in it a moment later. */
  stale: number;
  /** Sessions that still worked a long time after their visitor had signed out. */
  undead: number;
  /** The longest that a session still worked after its visitor had signed out, in milliseconds. */
  longestAfterSignOut: number;
  /** Answers of 500 and above, and connections that broke. */
  errors: number;
  /** Changes whose answer was such an error: made or not, the visitor cannot know. */
  inDoubt: number;
  /** Visitors that lost patience, because no server answered. */
  gaveUp: number;
}

export function newTally(): Tally {
  return {
    here: 0,
    came: 0,
    left: 0,
    signedOut: 0,
    lost: 0,
    doubled: 0,
    stale: 0,
    undead: 0,
    longestAfterSignOut: 0,
    errors: 0,
    inDoubt: 0,
    gaveUp: 0,
  };
}
