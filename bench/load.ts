/**
 * A load generator for machines without wrk, with the arguments of `wrk.lua`:
 * `load.ts <seconds> <port> <path> <file of cookies> <expected body> <cookie|none|any> [<file to keep cookies in> <one in>]`.
 *
 * @module
 */
import { appendFileSync, readFileSync } from "node:fs";
import { Agent, get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

const CONNECTIONS = 32;

const [seconds = "", port = "", path = "", file = "", expected = "", sets = "", keptIn, every] = process.argv.slice(2);
const cookies = readFileSync(file, "utf8").replace(/\n$/, "").split("\n");
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
let [at, done, wrong, answers] = [0, 0, 0, 0];
const end = performance.now() + Number(seconds) * 1000;

await Promise.all(Array.from({ length: CONNECTIONS }, connection));
agent.destroy();
console.log(`RESULT ${done} ${wrong} ${done}`);

async function connection(): Promise<void> {
  while (performance.now() < end) {
    const right = await request().catch(() => false);
    done++;
    if (!right) wrong++;
  }
}

async function request(): Promise<boolean> {
  const cookie = cookies[at++ % cookies.length] ?? "";
  const headers = { "X-Forwarded-Proto": "https", ...(cookie !== "" && { Cookie: cookie }) };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ agent, host: "127.0.0.1", port, path, headers }, resolve).on("error", reject);
  });
  const body = await text(response);
  const rightBody = expected === "digits" ? /^\d+$/.test(body) : body === expected;
  const rightCookie = sets === "any" || (response.headers["set-cookie"] !== undefined) === (sets === "cookie");
  const isRight = response.statusCode === 200 && rightBody && rightCookie;
  if (isRight && keptIn !== undefined && ++answers % Number(every) === 0) {
    appendFileSync(keptIn, `${response.headers["set-cookie"]?.[0]?.split(";", 1)[0]}\n`);
  }
  return isRight;
}
