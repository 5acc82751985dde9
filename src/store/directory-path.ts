/**
 * Where `directoryStore` keeps what: a path never contains text that came from a client.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";

/** Makes paths for keys and subjects. */
export interface Paths {
  /** Where drafts and probes are made. */
  readonly drafts: string;
  readonly root: string;
  /** The directory of everything whose key begins with `name/`; undefined: of the keys without a `/`. */
  name(name: string | undefined): string;
  /** The directory of a session. */
  session(key: string): string;
  /** The directory of a subject's index. */
  subject(subject: string): string;
  /** The file that says, in the index of a subject, that a key may be its. */
  member(subject: string, key: string): string;
}

/** The directory beside the shards of a name that holds the subjects. */
export const SUBJECTS = ".subjects";

/** Names that Windows takes for devices. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)$/i;

/** `caseMatters`: whether the file system keeps `a` and `A` apart. */
export function pathsIn(root: string, caseMatters: boolean): Paths {
  const plain = caseMatters ? /^[A-Za-z0-9_-]{1,100}$/ : /^[a-z0-9_-]{1,100}$/;
  const segment = (text: string): string => {
    if (plain.test(text) && !DEVICE.test(text)) return text;
    return caseMatters ? `~${digest(text, "base64url")}` : `~${digest(text, "hex")}`;
  };
  const name = (text: string | undefined): string => join(root, text === undefined ? "~" : segment(text));
  const subjectDirectory = (subject: string): string => {
    const [first, rest] = halves(subject);
    return join(name(first), SUBJECTS, segment(rest));
  };
  return {
    root,
    drafts: join(root, ".drafts"),
    name,
    session(key) {
      const [first, rest] = halves(key);
      const id = segment(rest);
      return join(name(first), shardOf(id), id);
    },
    subject: subjectDirectory,
    member: (subject, key) => join(subjectDirectory(subject), segment(key)),
  };
}

/** A key before and after its first `/`. */
export function halves(key: string): readonly [name: string | undefined, rest: string] {
  const at = key.indexOf("/");
  return at === -1 ? [undefined, key] : [key.slice(0, at), key.slice(at + 1)];
}

/**
 * Two characters, by which a million sessions become thousands of directories of hundreds. Not the first ones, which are
 * often the same in ids that are counted, and not the last one, which has but two random bits in a session id.
 */
function shardOf(id: string): string {
  return id.slice(-3, -1).replace("~", "").padEnd(2, "_");
}

/** SHA-256 of the UTF-8 text, or, for what is no text in UTF-8, of its UTF-16 code units, marked as such. */
function digest(text: string, encoding: "base64url" | "hex"): string {
  const isText = !/\p{Surrogate}/u.test(text);
  const hash = createHash("sha256").update(Buffer.from(text, isText ? "utf8" : "utf16le"));
  return `${isText ? "" : "~"}${hash.digest(encoding)}`;
}
