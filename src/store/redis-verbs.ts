/**
 * The verbs of `redisStore`: one script each, and before it what has to be noted first.
 *
 * @module
 */
import { endOf, lifetimeOf, recordIn, subjectField, tailOf, UNLISTED } from "./redis-record.ts";
import { runScript, type Script } from "./redis-scripts.ts";
import { listUnder, type Redis } from "./redis-subjects.ts";
import { fromRedis, toRedis } from "./redis-text.ts";
import type { SessionStore, StoreCall, StoredRecord, UpdateOutcome } from "./store.ts";

/** What the verbs share. */
export interface VerbContext extends Redis {
  /** How long a record stays in Redis after it could be removed, in milliseconds. */
  readonly kept: number;
  /** Called before a record is created. */
  note(key: string, expiresAt: number, call: StoreCall): Promise<void>;
}

type Verb = "create" | "read" | "update" | "touch" | "delete";

/** The verbs of a store. */
export function redisVerbs(context: VerbContext): Pick<SessionStore, Verb> {
  const { connection, names, scripts: known, runDeletion } = context;
  return {
    create: (key, record, call) => create(context, key, record, call),
    async read(key, call) {
      const name = names.record(key);
      const kept = await connection.command(name, ["GET", name], call);
      if (typeof kept !== "string") return undefined;
      const record = recordIn(kept, call.now);
      return record.expiresAt > call.now ? record : undefined;
    },
    update: (key, record, base, call) => update(context, key, record, base, call),
    touch: (key, expiresAt, call) => touch(context, key, expiresAt, call),
    async delete(key, { now }) {
      const name = names.record(key);
      return Number(await runDeletion(name, (send) => runScript(send, known.delete, [name], [String(now)]))) === 1;
    },
  };
}

async function onRecord(
  { connection, names }: VerbContext,
  script: Script,
  key: string,
  args: readonly string[],
  call: StoreCall,
): Promise<number | string> {
  const name = names.record(key);
  const send = (command: readonly string[]): PromiseLike<unknown> => connection.command(name, command, call);
  const reply = await runScript(send, script, [name], [String(call.now), ...args]);
  return typeof reply === "string" && reply.startsWith("=") ? reply : Number(reply);
}

// A client that lost its connection may send a script once more (ioredis does): a second `create` or `update` of one version
// finds that version and changes nothing, and by it the caller knows that the first one succeeded (P18).

async function create(context: VerbContext, key: string, record: StoredRecord, call: StoreCall): Promise<boolean> {
  const { subject, expiresAt } = record;
  await context.note(key, expiresAt, call);
  const hour = subject === undefined ? UNLISTED : (await listUnder(context, subject, key, expiresAt, call)).digits;
  const args = [`1${endOf(expiresAt)}${hour}${tailOf(record)}`, lifetimeOf(expiresAt, call.now, context.kept)];
  return (await onRecord(context, context.scripts.create, key, args, call)) === 1;
}

const OUTCOMES: readonly UpdateOutcome[] = ["gone", "conflict", "ok"];

/**
 * Lists the record first where it is known to be new to its subject; otherwise the script looks, and is run again after that
 * if it finds that the record is not listed, or not long enough.
 */
async function update(
  context: VerbContext,
  key: string,
  record: StoredRecord,
  base: StoredRecord,
  call: StoreCall,
): Promise<UpdateOutcome> {
  const { subject, expiresAt } = record;
  const attempt = async (hour: string): Promise<UpdateOutcome | undefined> => {
    const lifetime = lifetimeOf(expiresAt, call.now, context.kept);
    const args = [toRedis(base.version), endOf(expiresAt), hour, tailOf(record), lifetime, subjectField(subject)];
    return OUTCOMES[Number(await onRecord(context, context.scripts.update, key, args, call))];
  };
  if (subject === undefined) return (await attempt(UNLISTED)) ?? "conflict";
  const outcome = (call.previousSubject ?? base.subject) === subject ? await attempt("") : undefined;
  if (outcome !== undefined) return outcome;
  const { digits } = await listUnder(context, subject, key, expiresAt, call);
  return (await attempt(digits)) ?? "conflict";
}

async function touch(context: VerbContext, key: string, expiresAt: number, call: StoreCall): Promise<boolean> {
  const args = [endOf(expiresAt), lifetimeOf(expiresAt, call.now, context.kept)];
  let answer = await onRecord(context, context.scripts.touch, key, [...args, "", ""], call);
  // Once in half a day or less, except when the subject changes meanwhile.
  while (typeof answer === "string") {
    const subject = answer.slice(1);
    const { digits } = await listUnder(context, fromRedis(subject), key, expiresAt, call);
    answer = await onRecord(context, context.scripts.touch, key, [...args, digits, subject], call);
  }
  return answer === 1;
}
