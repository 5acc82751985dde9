/**
 * h3's own sessions, set up as its documentation says.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { setCookie, useSession, type H3, type H3Event, type SessionConfig } from "h3";
import { ANSWERS, FIRST_COUNT, type BenchData } from "../data.ts";
import type { Hosted } from "../host.ts";
import type { Site } from "../site.ts";
import type { Kind } from "../subjects.ts";

type OnH3 = Hosted<H3, H3Event, H3Event>;

/** A subject that is not ours; undefined when there is none of that kind. */
export function h3Peer(kind: Kind, site: Site): OnH3 | undefined {
  if (kind === "bare") return bare();
  return kind === "h3" ? withUseSession(site) : undefined;
}

function bare(): OnH3 {
  let count = FIRST_COUNT;
  const start = (event: H3Event, answer: string): string => {
    setCookie(event, "bench", randomBytes(32).toString("base64url"));
    return answer;
  };
  return {
    handlers: {
      seed: (event) => start(event, ANSWERS.seed),
      signIn: (event) => start(event, ANSWERS["sign-in"]),
      read: () => ANSWERS.read,
      write: () => String(++count),
      count: () => String(count),
    },
  };
}

function withUseSession({ newData }: Site): OnH3 {
  const config: SessionConfig = { password: randomBytes(32).toString("base64url"), cookie: { secure: false } };
  const start = async (event: H3Event, answer: string): Promise<string> => {
    const session = await useSession<BenchData>(event, config);
    await session.update(newData());
    return answer;
  };
  const read = async (event: H3Event, name: keyof BenchData): Promise<string> => {
    const session = await useSession<BenchData>(event, config);
    return String(session.data[name]);
  };
  return {
    handlers: {
      seed: (event) => start(event, ANSWERS.seed),
      signIn: (event) => start(event, ANSWERS["sign-in"]),
      read: (event) => read(event, "user"),
      async write(event) {
        const session = await useSession<BenchData>(event, config);
        const count = Number(session.data.count) + 1;
        await session.update({ count });
        return String(count);
      },
      count: (event) => read(event, "count"),
    },
  };
}
