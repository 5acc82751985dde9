/**
 * A library of somebody who uses coatcheck: strict, without `skipLibCheck`, and with declarations of its own, in which every
 * inferred type has to be nameable. This file only has to type-check, in a project into which the package is installed.
 */
import { createServer } from "node:http";
import {
  cookie,
  defineSession,
  header,
  keyRing,
  seal,
  sign,
  StoreError,
  type JsonValue,
  type Session,
  type SessionDefinition,
  type SessionEvent,
  type SessionStore,
} from "coatcheck";
import { ktorCookie, ktorEncrypt, ktorForm, ktorId, ktorJson, ktorSign } from "coatcheck/compat/ktor";
import { ktorDirectory } from "coatcheck/compat/ktor-directory";
import { sessions as forExpress } from "coatcheck/express";
import { sessions as forFastify } from "coatcheck/fastify";
import { withSessions as withFetchSessions } from "coatcheck/fetch";
import { sessions as forHono } from "coatcheck/hono";
import { sessions as forKoa } from "coatcheck/koa";
import { withSessions } from "coatcheck/node";
import { directoryStore } from "coatcheck/store/directory";
import { memoryStore } from "coatcheck/store/memory";
import { sqliteStore } from "coatcheck/store/sqlite";
import { adapterCases, fakeClock, sessionAgent, storeCases } from "coatcheck/testing";

interface Cart {
  readonly items: readonly string[];
  readonly theme?: "light" | "dark";
}

export const stores = {
  directory: directoryStore("sessions"),
  memory: memoryStore(),
  sqlite: sqliteStore("sessions.db"),
};
export const anyStore: readonly SessionStore[] = Object.values(stores);
export const keys = keyRing(["…"]);
export const transports = { cookie: cookie({ sameSite: "strict" }), header: header("X-Session") };
export const user = defineSession<Cart>({ name: "user", store: stores.memory, transport: transports.cookie, keys });
export const sealed = defineSession<Cart>({ name: "sealed", keys, protection: seal(), revocation: "none" });
export const signed = defineSession<Cart>({ name: "signed", keys, protection: sign(), revocation: stores.memory });
export const definitions: readonly SessionDefinition<Cart>[] = [user, sealed, signed];

export const installed = {
  express: forExpress(user, sealed),
  fastify: forFastify(user),
  hono: forHono(user),
  koa: forKoa(user),
};
export const handler = withFetchSessions(
  async (request: Request) => Response.json((await user.from(request)).data),
  user,
);
export const server = createServer(
  withSessions(async (req, res) => {
    const session: Session<Cart> = await user.from(req);
    const items: readonly string[] = session.data?.items ?? [];
    session.update((data) => ({ ...data, items: [...items, "coat"] }));
    res.end(session.data?.theme);
    // @ts-expect-error the data is typed
    session.set({ items: [1] });
  }, user),
);

export function reasonOf(event: SessionEvent): string | undefined {
  return event.reason;
}
export function isTimeout(error: unknown): boolean {
  return error instanceof StoreError && error.timedOut;
}
export const devices = async () => await user.manager.list("ada");
export const off = user.manager.on("rejected", (event) => void event.reason);

export const ktor = {
  cookie: ktorCookie({ serializer: ktorJson<Cart>(), encoding: "RAW" }),
  directory: ktorDirectory("build/.sessions"),
  encrypted: ktorEncrypt({ encryptKey: "00", signKey: "00" }),
  form: ktorForm({ name: "string", visits: "int" }),
  id: ktorId(),
  json: ktorJson<{ userId: string }>(),
  signed: ktorSign({ key: "00" }),
};
export const told: JsonValue = { clock: fakeClock().now() };
export const agent = sessionAgent(handler);
export const names = [...storeCases, ...adapterCases].map(({ name }) => name);
