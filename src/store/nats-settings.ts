/**
 * Settings of a bucket with which `natsStore` cannot keep what it promises. The server is asked for them once, before the first
 * call of a process.
 *
 * @module
 */

/** What the stream of a bucket is set to, in the server's words: `max_age` in nanoseconds, sizes in bytes, -1 for no limit. */
export interface StreamSettings {
  readonly max_age: number;
  readonly max_msgs_per_subject: number;
  readonly max_msg_size?: number;
  readonly max_msgs: number;
  readonly max_bytes: number;
  readonly discard: string;
  readonly num_replicas: number;
  readonly deny_purge?: boolean;
  readonly sealed?: boolean;
  readonly mirror?: unknown;
  readonly sources?: readonly unknown[];
}

/** A list of a sweep has up to 250 keys and subjects. */
const SMALLEST_SIZE = 65_536;

/**
 * Replicas of servers before 2.9.21 compare what a write expects when it arrives, and not when they store it (nats-server #4320):
 * all writers of a moment are told that they have done it. And up to 2.10.18 a replica that crashes applies the last messages
 * of its log once more, as many as it has refused within some minutes: what had ended came back (nats-crash.test.ts).
 */
export const CLUSTERS_SINCE = "2.10.21";

/** Throws an error that says what to change, if a bucket cannot be used on servers of a version, such as "2.10.27". */
export function checkSettings(settings: StreamSettings, version?: string): void {
  const complaint = complaintOf(settings) ?? complaintAboutServer(settings, version);
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
  const { max_msgs, max_bytes, discard, deny_purge, sealed } = settings;
  if ((max_msgs > 0 || max_bytes > 0) && discard !== "new") {
    return "drops old records when it is full: set its stream to discard new ones";
  }
  if (deny_purge === true || sealed === true) {
    return "does not allow to remove what is over: set its stream to allow purging";
  }
  return undefined;
}

function complaintAboutServer({ num_replicas }: StreamSettings, version: string | undefined): string | undefined {
  if (num_replicas === 1 || !isTooOldForClusters(version)) return undefined;
  return `has ${num_replicas} replicas on nats-server ${version}, which brings back sessions that have ended when a server crashes: upgrade all servers to ${CLUSTERS_SINCE} or later, or set replicas to 1`;
}

/** Whether a server of a version, such as "2.9.10", is before {@link CLUSTERS_SINCE}; one that does not say so is not. */
export function isTooOldForClusters(version: string | undefined): boolean {
  const [parts, first] = [partsIn(version ?? ""), partsIn(CLUSTERS_SINCE)];
  const at = first.findIndex((part, i) => parts[i] !== part);
  return at >= 0 && (parts[at] ?? Infinity) < (first[at] ?? 0);
}

function partsIn(version: string): readonly number[] {
  return /^(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [];
}
