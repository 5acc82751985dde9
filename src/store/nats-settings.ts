/**
 * Settings of a bucket with which `natsStore` cannot keep what it promises. The server is asked for them once, before the first
 * call of a process.
 *
 * @module
 */

/** What the stream of a bucket is set to, in the words of the server: times in nanoseconds, sizes in bytes, -1 for no limit. */
export interface StreamSettings {
  readonly max_age: number;
  readonly max_msgs_per_subject: number;
  readonly max_msg_size?: number;
  readonly max_msgs: number;
  readonly max_bytes: number;
  readonly discard: string;
  readonly duplicate_window?: number;
  readonly num_replicas: number;
  readonly deny_purge?: boolean;
  readonly sealed?: boolean;
  readonly mirror?: unknown;
  readonly sources?: readonly unknown[];
}

const SECOND = 1_000_000_000;

/** A list of a sweep has up to 250 keys and subjects. */
const SMALLEST_SIZE = 65_536;

/** How long a write may be on its way in a cluster, at the most. */
const SHORTEST_WINDOW = 30 * SECOND;

/** Throws an error that says what to change, if a bucket cannot be used. */
export function checkSettings(settings: StreamSettings): void {
  const complaint = complaintOf(settings);
  if (complaint !== undefined) throw new Error(`natsStore: the bucket ${complaint}`);
}

function complaintOf(settings: StreamSettings): string | undefined {
  const { max_age, max_msgs_per_subject, max_msg_size = -1, mirror, sources = [] } = settings;
  if (max_age > 0) {
    return "has a ttl, which would remove lists of subjects while their sessions live: set none; sessions that are over are swept";
  }
  if (max_msgs_per_subject !== 1) {
    return "keeps a history, in which sessions that have ended would be listed: set history to 1";
  }
  if (max_msg_size > 0 && max_msg_size < SMALLEST_SIZE) {
    return `takes values of ${max_msg_size} bytes only: leave out maxValueSize, or set ${SMALLEST_SIZE} or more`;
  }
  if (mirror !== undefined || sources.length > 0) {
    return "is a copy of another one, and so behind it: open that one, and leave out mirror and sources";
  }
  return complaintAboutStream(settings);
}

/** Of what @nats-io/kv never sets by itself. */
function complaintAboutStream(settings: StreamSettings): string | undefined {
  const { max_msgs, max_bytes, discard, deny_purge, sealed, num_replicas, duplicate_window } = settings;
  if ((max_msgs > 0 || max_bytes > 0) && discard !== "new") {
    return "drops old records when it is full: set its stream to discard new ones";
  }
  if (deny_purge === true || sealed === true) {
    return "does not allow to remove what is over: set its stream to allow purging";
  }
  if (num_replicas > 1 && duplicate_window !== undefined && duplicate_window < SHORTEST_WINDOW) {
    return "recognises duplicates for too short a time: set the duplicate window of its stream to 2 minutes";
  }
  return undefined;
}
