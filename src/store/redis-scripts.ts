/**
 * What Redis itself does, in Lua: each script is one command on keys of one slot, and nothing comes between its steps.
 *
 * @module
 */
import { hex, utf8 } from "../internal/bytes.ts";
import { nodeCrypto } from "../internal/crypto.ts";
import type { Send } from "./redis-connection.ts";

/** A script, and the name under which Redis remembers it. */
export interface Script {
  readonly source: string;
  /** Undefined where there is no SHA-1: the script is sent whole then. */
  readonly sha: string | undefined;
}

/**
 * What the scripts about records begin with. What is no record of ours has no end and exists.
 *
 * A line with `tell(` is left out where nobody watches. It comes before anything is written: for one who may not publish
 * nothing is done.
 */
const RECORDS = `
local key = KEYS[1]
local now = tonumber(ARGV[1])
local function endOf(head)
  local digits = string.match(head, '^1(%w%w%w%w%w%w%w%w%w%w%w)')
  return digits and tonumber(digits, 36)
end
local function isOver(head)
  local ends = endOf(head)
  return ends and ends <= now
end
local function subjectOf(record)
  return string.match(string.sub(record, 17), '^[^\\t\\n]*\\t([^\\n]*)\\n')
end
-- 'zzzz' is for good.
local function listedUntil(hour, ends)
  return hour == 'zzzz' or tonumber(hour, 36) * 3600000 >= ends
end
`;

/** What those begin with that tell of changes. The version is what `tail` begins with; there is none when a record is deleted. */
const TELLING = `
local function tell(tail)
  local version = tail and string.match(tail, '^[^\\t\\n]*')
  redis.call('PUBLISH', CHANNEL, version and key .. '\\t' .. version or key)
end
`;

/** ARGV: now, record, lifetime. 1: created, 0: the key exists. */
const CREATE = `
if redis.call('SET', key, ARGV[2], 'PX', ARGV[3], 'NX') then return 1 end
if not isOver(redis.call('GETRANGE', key, 0, 11)) then return 0 end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
return 1
`;

/**
 * ARGV: now, version of the base, end, hour ('' for the one that is there), tail, lifetime, subject field.
 * 0: gone, 1: conflict, 2: ok, 3: nothing was done, because the index has to be written first.
 */
const UPDATE = `
local version, hour, field = ARGV[2], ARGV[4], ARGV[7]
local after = 17 + #version
local head = redis.call('GETRANGE', key, 0, after + #field)
if head == '' or isOver(head) then return 0 end
local parting = string.sub(head, after, after)
if not endOf(head) or string.sub(head, 17, after - 1) ~= version then return 1 end
if parting ~= '\\t' and parting ~= '\\n' then return 1 end
if hour == '' then
  hour = string.sub(head, 13, 16)
  if string.sub(head, after, after + #field - 1) ~= field then return 3 end
  if not listedUntil(hour, tonumber(ARGV[3], 36)) then return 3 end
end
local lifetime = tonumber(ARGV[6])
-- A deadline that was noted for a later end still finds the record.
if endOf(head) > tonumber(ARGV[3], 36) then lifetime = math.max(lifetime, redis.call('PTTL', key)) end
tell(ARGV[5])
redis.call('SET', key, '1' .. ARGV[3] .. hour .. ARGV[5], 'PX', string.format('%.0f', lifetime))
return 2
`;

/**
 * ARGV: now, end, lifetime, hour ('' for the one that is there), the subject under which it is listed until then.
 * 0: nothing is there, 1: done; '=subject': nothing was done, because the index has to be written first.
 */
const TOUCH = `
local head = redis.call('GETRANGE', key, 0, 15)
if head == '' or isOver(head) then return 0 end
local ends = tonumber(ARGV[2], 36)
local stored = endOf(head)
if not stored or ends <= stored then return 1 end
local hour = string.sub(head, 13, 16)
if hour ~= '0000' and not listedUntil(hour, ends) then
  local subject = subjectOf(redis.call('GET', key)) or ''
  if ARGV[4] == '' or subject ~= ARGV[5] then return '=' .. subject end
  hour = ARGV[4]
end
tell(string.sub(redis.call('GET', key), 17))
redis.call('SETRANGE', key, 1, ARGV[2] .. hour)
redis.call('PEXPIRE', key, ARGV[3])
return 1
`;

/** ARGV: now, and perhaps the only subject whose record may go. 1: deleted, 0: there was none. */
const DELETE = `
if ARGV[2] and subjectOf(redis.call('GET', key) or '') ~= ARGV[2] then return 0 end
local over = isOver(redis.call('GETRANGE', key, 0, 11))
if not over and redis.call('EXISTS', key) == 1 then tell() end
local deleted = redis.call('DEL', key)
return over and 0 or deleted
`;

/**
 * The index of a subject is a sorted set. A score is the hour until which the member counts, and below it the second at
 * which it came. ARGV: member, hour, second, hour now, lifetime. Members whose hour is over go.
 */
const LIST = `
local index, hour = KEYS[1], tonumber(ARGV[2])
local score = redis.call('ZSCORE', index, ARGV[1])
if score then hour = math.max(hour, math.floor(tonumber(score) / 4294967296)) end
redis.call('ZADD', index, string.format('%.0f', hour * 4294967296 + tonumber(ARGV[3])), ARGV[1])
redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('(%.0f', tonumber(ARGV[4]) * 4294967296))
if redis.call('PTTL', index) < tonumber(ARGV[5]) then redis.call('PEXPIRE', index, ARGV[5]) end
return 1
`;

/** The members of an index and their scores, in turn. */
const MEMBERS = `return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')`;

/** ARGV: second, members. Removes the members that came before that second. */
const PRUNE = `
for i = 2, #ARGV do
  local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]) or nil)
  if score and score % 4294967296 < tonumber(ARGV[1]) then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 1
`;

/** ARGV: the last moment that is over. 1: the record had ended by then and is removed, 0: it had not. */
const EXPIRE = `
if not isOver(redis.call('GETRANGE', key, 0, 11)) then return 0 end
return redis.call('DEL', key)
`;

/** KEYS: a shard of the index of deadlines, a minute of it. ARGV: line, minute, lifetime. */
const NOTE = `
local shard, minute = KEYS[1], KEYS[2]
local isFirst = redis.call('APPEND', minute, ARGV[1]) == #ARGV[1]
if isFirst then redis.call('ZADD', shard, ARGV[2], ARGV[2]) end
for _, key in ipairs(KEYS) do
  if (isFirst or key == minute) and redis.call('PTTL', key) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', key, ARGV[3])
  end
end
return 1
`;

/** KEYS: as with NOTE. ARGV: the beginning of the minute's text, what replaces it, minute. */
const STRIKE = `
local shard, minute = KEYS[1], KEYS[2]
if redis.call('GETRANGE', minute, 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
local rest = ARGV[2] .. redis.call('GETRANGE', minute, #ARGV[1], -1)
if rest ~= '' then
  redis.call('SET', minute, rest, 'KEEPTTL')
else
  redis.call('DEL', minute)
  redis.call('ZREM', shard, ARGV[3])
end
return 1
`;

/** The scripts of a store. */
export interface Scripts {
  readonly create: Script;
  readonly update: Script;
  readonly touch: Script;
  readonly delete: Script;
  readonly list: Script;
  readonly members: Script;
  readonly prune: Script;
  readonly expire: Script;
  readonly note: Script;
  readonly strike: Script;
}

/** Makes the scripts ready to be run. `channel`: where they tell of changes; nowhere, if it is left out. */
export function scripts(channel?: string): Scripts {
  const telling = (source: string): string =>
    channel === undefined
      ? RECORDS + source.replaceAll(/^.*\btell\(.*\n/gm, "")
      : RECORDS + TELLING.replace("CHANNEL", luaText(channel)) + source;
  return {
    create: script(RECORDS + CREATE),
    update: script(telling(UPDATE)),
    touch: script(telling(TOUCH)),
    delete: script(telling(DELETE)),
    list: script(LIST),
    members: script(MEMBERS),
    prune: script(PRUNE),
    expire: script(RECORDS + EXPIRE),
    note: script(NOTE),
    strike: script(STRIKE),
  };
}

/** A text as Lua has it. */
function luaText(text: string): string {
  return `"${Array.from(utf8(text), (byte) => `\\${String(byte).padStart(3, "0")}`).join("")}"`;
}

function script(source: string): Script {
  const digest = nodeCrypto?.hash("sha1", utf8(source), "buffer");
  return { source, sha: digest && hex(digest) };
}

/** Runs a script on keys of one slot: one command, and a second one where Redis has not seen the script since it started. */
export async function runScript(
  send: Send,
  { source, sha }: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  const rest = [String(keys.length), ...keys, ...args];
  if (sha === undefined) return await send(["EVAL", source, ...rest]);
  try {
    return await send(["EVALSHA", sha, ...rest]);
  } catch (error) {
    if (!isUnknownScript(error)) throw error;
    return await send(["EVAL", source, ...rest]);
  }
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && /NO_?SCRIPT/i.test(error.message);
}
