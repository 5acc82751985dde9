/**
 * Libraries for Fastify, set up as their documentation says and at their cheapest: no `Secure` to check, and nothing written
 * or sent that was not changed.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import fastifyCookie from "@fastify/cookie";
import secureSession from "@fastify/secure-session";
import fastifySession from "@fastify/session";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { ANSWERS, FIRST_COUNT, type BenchData } from "../data.ts";
import type { Hosted } from "../host.ts";
import type { Site } from "../site.ts";
import type { Kind } from "../subjects.ts";

type OnFastify = Hosted<FastifyInstance, FastifyRequest, FastifyReply>;

/** A subject that is not ours; undefined when there is none of that kind. */
export function fastifyPeer(kind: Kind, site: Site): OnFastify | undefined {
  if (kind === "bare") return bare();
  if (kind === "@fastify/session") return withSession(site);
  return kind === "@fastify/secure-session" ? withSecureSession(site) : undefined;
}

function bare(): OnFastify {
  let count = FIRST_COUNT;
  const start = (reply: FastifyReply, answer: string): string => {
    reply.header("Set-Cookie", `bench=${randomBytes(32).toString("base64url")}; Path=/`);
    return answer;
  };
  return {
    handlers: {
      seed: (_request, reply) => start(reply, ANSWERS.seed),
      signIn: (_request, reply) => start(reply, ANSWERS["sign-in"]),
      read: () => ANSWERS.read,
      write: () => String(++count),
      count: () => String(count),
    },
  };
}

function withSession({ newData }: Site): OnFastify {
  const secret = randomBytes(32).toString("base64url");
  // The two libraries give `request.session` two types, of which a program has one.
  const of = (request: FastifyRequest): BenchData => request.session as unknown as BenchData;
  const start = (request: FastifyRequest, answer: string): string => {
    Object.assign(request.session, newData());
    return answer;
  };
  return {
    install: (app) =>
      app
        .register(fastifyCookie)
        .register(fastifySession, { secret, saveUninitialized: false, rolling: false, cookie: { secure: false } }),
    handlers: {
      seed: (request) => start(request, ANSWERS.seed),
      async signIn(request) {
        await (request.session.regenerate as () => unknown)();
        return start(request, ANSWERS["sign-in"]);
      },
      read: (request) => of(request).user,
      write: (request) => String(++of(request).count),
      count: (request) => String(of(request).count),
    },
  };
}

function withSecureSession({ newData }: Site): OnFastify {
  const of = (request: FastifyRequest): Kept => request.session as unknown as Kept;
  const start = (request: FastifyRequest, answer: string): string => {
    for (const [name, value] of Object.entries(newData())) of(request).set(name, value);
    return answer;
  };
  return {
    install: (app) => app.register(secureSession, { key: randomBytes(32), cookieName: "bench", cookie: { path: "/" } }),
    handlers: {
      seed: (request) => start(request, ANSWERS.seed),
      signIn(request) {
        of(request).regenerate();
        return start(request, ANSWERS["sign-in"]);
      },
      read: (request) => String(of(request).get("user")),
      write(request) {
        const count = Number(of(request).get("count")) + 1;
        of(request).set("count", count);
        return String(count);
      },
      count: (request) => String(of(request).get("count")),
    },
  };
}

/** The part of a session of `@fastify/secure-session` that is used here. */
interface Kept {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  regenerate(): void;
}
