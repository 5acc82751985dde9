/**
 * What a session in a server beside cannot be cheaper than: the cookie, one question by its id, the JSON. Nobody's secret is
 * checked.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { parseCookie } from "cookie";
import type { Express, Request, Response } from "express";
import type { RowDataPacket } from "mysql2";
import { ANSWERS, type BenchData } from "../data.ts";
import { mysqlPool, postgresPool, redisClient } from "../drivers.ts";
import type { Hosted } from "../host.ts";
import type { Site } from "../site.ts";
import type { Kind } from "../subjects.ts";

/** Texts by id. */
interface Texts {
  read(id: string): Promise<string | undefined>;
  write(id: string, text: string): Promise<unknown>;
}

/** A subject by hand on Express; undefined when there is none of that kind. */
export async function byHand(kind: Kind, site: Site): Promise<Hosted<Express, Request, Response> | undefined> {
  if (kind === "get-by-hand") return handled(await inRedis(site), site);
  if (kind === "select-by-hand") return handled(await inPostgres(site), site);
  if (kind === "mysql-by-hand") return handled(await inMysql(site), site);
  return undefined;
}

function handled({ read, write }: Texts, { newData }: Site): Hosted<Express, Request, Response> {
  const of = async (req: Request): Promise<BenchData | undefined> => {
    const text = await read(parseCookie(req.headers.cookie ?? "")["bench"] ?? "");
    return text === undefined ? undefined : (JSON.parse(text) as BenchData);
  };
  const start = async (res: Response, answer: string): Promise<string> => {
    const id = randomBytes(32).toString("base64url");
    await write(id, JSON.stringify(newData()));
    res.cookie("bench", id);
    return answer;
  };
  const count = async (req: Request): Promise<string> => String((await of(req))?.count);
  return {
    handlers: {
      seed: (_req, res) => start(res, ANSWERS.seed),
      signIn: (_req, res) => start(res, ANSWERS["sign-in"]),
      read: async (req) => String((await of(req))?.user),
      write: count,
      count,
    },
  };
}

async function inRedis(site: Site): Promise<Texts> {
  const client = await redisClient(site);
  return {
    read: async (id) => (await client.get(`by-hand:${id}`)) ?? undefined,
    write: (id, text) => client.set(`by-hand:${id}`, text),
  };
}

/** What else a row has to have. */
const [VERSION, LIFE_MS] = ["1", 12 * 3_600_000];

interface Row {
  readonly value: string;
  readonly expires_at: number;
}

/** The table of ours, one prepared `SELECT` by its primary key. */
async function inPostgres(site: Site): Promise<Texts> {
  const { postgresStore } = await import("coatcheck/store/postgres");
  const pool = await postgresPool(site);
  await postgresStore(pool).createSchema();
  const select = "SELECT value, expires_at FROM coatcheck_sessions WHERE key = $1";
  const insert = "INSERT INTO coatcheck_sessions (key, version, expires_at, value) VALUES ($1, $2, $3, $4)";
  return {
    async read(id) {
      const { rows } = await pool.query<Row>({ name: "by-hand", text: select, values: [`by-hand/${id}`] });
      const [row] = rows;
      return row !== undefined && row.expires_at > Date.now() ? row.value : undefined;
    },
    write: (id, text) => pool.query(insert, [`by-hand/${id}`, VERSION, Date.now() + LIFE_MS, text]),
  };
}

interface MysqlRow extends RowDataPacket {
  readonly value: Buffer;
  readonly expires_at: number;
}

/** The same in MariaDB. */
async function inMysql(site: Site): Promise<Texts> {
  const { mysqlStore } = await import("coatcheck/store/mysql");
  const pool = await mysqlPool(site);
  await mysqlStore(pool).createSchema();
  const select = "SELECT `value`, `expires_at` FROM coatcheck_sessions WHERE `key` = ?";
  const insert = "INSERT INTO coatcheck_sessions (`key`, `version`, `expires_at`, `value`) VALUES (?, ?, ?, ?)";
  return {
    async read(id) {
      const [[row]] = await pool.execute<MysqlRow[]>(select, [`by-hand/${id}`]);
      return row !== undefined && row.expires_at > Date.now() ? row.value.toString() : undefined;
    },
    write: (id, text) => pool.execute(insert, [`by-hand/${id}`, VERSION, Date.now() + LIFE_MS, text]),
  };
}
