/** Ordered secret keys with ids: the first protects, all open. */
export class KeyRing {}
