/**
 * Sessions for applications in any language: the JSON API of the session server.
 *
 * A session is named by its token, in the header `Session-Token` and nowhere else; so `…/current` is the session of whoever
 * asks. All of it is done by a definition as an application of TypeScript would have it: the two share their sessions.
 *
 * @module
 */
import type { Session } from "../index.ts";
import { chain, isPromise, type MaybePromise } from "../internal/maybe-promise.ts";
import type { SessionStore } from "../store/store.ts";
import { Refusal, type Answer, type Endpoint, type EndpointCall } from "./endpoint.ts";
import { changedMeanwhile, noSession, refusal, shown, summaryView, tagOf } from "./session-answer.ts";
import { sessionDefinitions, type Data, type Definitions, type SessionsOptions } from "./session-definitions.ts";
import {
  changesOf,
  dataOf,
  fieldsOf,
  ifMatchOf,
  isId,
  isName,
  keysOf,
  levelOf,
  limitOf,
  parametersOf,
  requireNoIfMatch,
  subjectOf,
} from "./session-input.ts";

import type { Visit } from "./session-visit.ts";

export type { SessionsOptions } from "./session-definitions.ts";

/**
 * The endpoint of `/v1/sessions/{name}…`. Whatever a client sends is answered: a bad request by 400, a session that is not
 * there by 404, a store that is away by 503.
 *
 * @throws TypeError that names the option, for one that cannot work
 */
export function sessionsEndpoint(options: SessionsOptions = {}): Endpoint {
  const definitions = sessionDefinitions(options);
  return (call) => {
    try {
      const answer = routed(definitions, call);
      return isPromise(answer) ? answer.then(undefined, refusal) : answer;
    } catch (error) {
      return refusal(error);
    }
  };
}

type Handler = (definitions: Definitions, call: EndpointCall) => MaybePromise<Answer>;
type Methods = ReadonlyMap<string, Handler>;

const methods = (handlers: Readonly<Record<string, Handler>>): Methods => new Map(Object.entries(handlers));

const COLLECTION = methods({ POST: begun, GET: listed, DELETE: revokedAll });
const CURRENT = methods({ GET: read, PUT: replaced, PATCH: patched, DELETE: ended });
const STEPS: ReadonlyMap<string, Methods> = new Map([
  ["authenticate", methods({ POST: authenticated })],
  ["regenerate", methods({ POST: regenerated })],
  ["touch", methods({ POST: touched })],
]);
const ONE = methods({ DELETE: revoked });

function routed(definitions: ReturnType<typeof sessionDefinitions>, call: EndpointCall): MaybePromise<Answer> {
  const [name, of, step] = call.path;
  const found = call.path.length > 3 ? undefined : methodsOf(of, step);
  if (name === undefined || found === undefined) {
    throw new Refusal(404, "no-such-path", "There is nothing at this path. GET /openapi.json tells what there is.");
  }
  if (!isName(name)) throw new Refusal(400, "bad-name", "The name of a session is 1 to 64 letters, digits, - and _.");
  const { method } = call.req;
  const handler = found.get(method === "HEAD" ? "GET" : (method ?? ""));
  if (handler !== undefined) return handler(definitions(call.caller, name), call);
  const allow = [...found.keys()].join(", ");
  throw new Refusal(405, "method-not-allowed", `This path takes ${allow}.`, { Allow: allow });
}

function methodsOf(of: string | undefined, step: string | undefined): Methods | undefined {
  if (of === undefined) return COLLECTION;
  if (of === "current") return step === undefined ? CURRENT : STEPS.get(step);
  return step === undefined ? ONE : undefined;
}

// --- the session of whoever asks ----------------------------------------------------------------------------------------

function read({ merging }: Definitions, call: EndpointCall): MaybePromise<Answer> {
  return chain(merging.visit(call), (visit) => visit.answer(shown(present(visit).session)));
}

async function begun({ beginning }: Definitions, call: EndpointCall): Promise<Answer> {
  requireNoIfMatch(call);
  const { data = {}, subject, level } = await fieldsOf(call, ["data", "subject", "level"]);
  const given = dataOf(data);
  const whose = subject === undefined ? undefined : subjectOf(subject);
  const options = levelOption(level);
  if (whose === undefined && level !== undefined) {
    throw new Refusal(400, "bad-level", "level goes with a subject: it says how sure you are of whose session it is.");
  }
  return await changed(
    await beginning.visit(call),
    (session) => {
      set(session, given);
      if (whose !== undefined) session.authenticate(whose, options);
    },
    201,
  );
}

async function replaced(definitions: Definitions, call: EndpointCall): Promise<Answer> {
  const { data } = await fieldsOf(call, ["data"]);
  const given = dataOf(data);
  return await conditionally(definitions, call, (session) => set(session, given));
}

async function patched(definitions: Definitions, call: EndpointCall): Promise<Answer> {
  const changes = changesOf(await fieldsOf(call, ["data", "remove"]));
  return await conditionally(definitions, call, (session) => {
    if (Array.isArray(session.data)) {
      throw new Refusal(
        409,
        "data-is-a-list",
        "The data is a list, which has no keys to change. PUT an object in its place.",
      );
    }
    storable(() => session.patch(changes));
  });
}

async function authenticated({ merging }: Definitions, call: EndpointCall): Promise<Answer> {
  requireNoIfMatch(call);
  const { subject, level, keep } = await fieldsOf(call, ["subject", "level", "keep"]);
  const whose = subjectOf(subject);
  const options = { ...levelOption(level), keep: keysOf(keep, "keep") };
  return await changed(present(await merging.visit(call)), (session) => session.authenticate(whose, options));
}

async function regenerated({ merging }: Definitions, call: EndpointCall): Promise<Answer> {
  requireNoIfMatch(call);
  return await changed(present(await merging.visit(call)), (session) => session.regenerate());
}

async function touched({ merging }: Definitions, call: EndpointCall): Promise<Answer> {
  requireNoIfMatch(call);
  const visit = present(await merging.visit(call));
  await written(visit, () => {});
  return await visit.answer({ status: 204 });
}

/** Signing out is done when there is no session any more, whoever ended it: so it can be asked for again. */
async function ended({ merging }: Definitions, call: EndpointCall): Promise<Answer> {
  requireNoIfMatch(call);
  const { session, answer } = await merging.visit(call);
  if (session.isNew) return { status: 204 };
  session.destroy();
  await session.commit();
  return await answer({ status: 204 });
}

/** A change that is made only while the session is what `If-Match` names, where there is one. */
async function conditionally({ merging, rejecting }: Definitions, call: EndpointCall, change: Change): Promise<Answer> {
  const tags = ifMatchOf(call);
  const { visit: visiting } = tags === undefined ? merging : rejecting;
  const visit = present(await visiting(call));
  if (Array.isArray(tags) && !tags.includes(tagOf(visit.session))) throw changedMeanwhile();
  return await changed(visit, change);
}

function levelOption(level: unknown): { readonly level?: string } {
  const known = levelOf(level);
  return known === undefined ? {} : { level: known };
}

type Change = (session: Session<Data>) => void;

/** A visit of a session that is there. */
function present(visit: Visit<Data>): Visit<Data> {
  if (visit.session.isNew) throw noSession();
  return visit;
}

/** Changes a session and writes it; one that is gone by then is no session any more. */
async function written(visit: Visit<Data>, change: Change): Promise<Session<Data>> {
  change(visit.session);
  await visit.session.commit();
  return present(visit).session;
}

async function changed(visit: Visit<Data>, change: Change, status?: number): Promise<Answer> {
  return await visit.answer(shown(await written(visit, change), status));
}

function set(session: Session<Data>, data: Data): void {
  storable(() => session.set(data));
}

/** The front door refuses what JSON can spell and no session can keep. */
function storable(change: () => void): void {
  try {
    change();
  } catch {
    throw new Refusal(
      400,
      "bad-data",
      "data must be at most 100 levels deep, and its numbers within the range of a double.",
    );
  }
}

// --- the sessions of an application ---------------------------------------------------------------------------------------

async function listed({ merging }: Definitions, call: EndpointCall): Promise<Answer> {
  const { manager } = merging.definition;
  const parameters = parametersOf(call, ["subject", "cursor", "limit"]);
  if (!parameters.has("subject")) {
    requireCapability(call, "list");
    const cursor = parameters.get("cursor") ?? "";
    const page = await manager.listAll({
      limit: limitOf(parameters.get("limit")),
      cursor: cursor === "" ? undefined : cursor,
    });
    return { status: 200, body: { sessions: page.sessions.map(summaryView), cursor: page.cursor } };
  }
  if (parameters.size > 1) throw new Refusal(400, "bad-query", "A list by subject has no pages: no cursor, no limit.");
  const subject = subjectOf(parameters.get("subject"));
  requireCapability(call, "listBySubject");
  return { status: 200, body: { sessions: (await manager.list(subject)).map(summaryView) } };
}

async function revokedAll({ merging }: Definitions, call: EndpointCall): Promise<Answer> {
  requireNoIfMatch(call);
  const parameters = parametersOf(call, ["subject", "except"]);
  const subject = subjectOf(parameters.get("subject"));
  const except = parameters.get("except");
  if (except !== undefined && !isId(except)) {
    throw new Refusal(400, "bad-except", "except must be the id of a session.");
  }
  requireCapability(call, "deleteBySubject", "listBySubject");
  const options = except === undefined ? {} : { except };
  return { status: 200, body: { revoked: await merging.definition.manager.revokeAll(subject, options) } };
}

async function revoked({ merging }: Definitions, call: EndpointCall): Promise<Answer> {
  requireNoIfMatch(call);
  const id = call.path[1] ?? "";
  if (!isId(id) || !(await merging.definition.manager.revoke(id))) throw noSession();
  return { status: 204 };
}

function requireCapability({ caller: { store } }: EndpointCall, ...oneOf: readonly (keyof SessionStore)[]): void {
  if (oneOf.some((capability) => store[capability] !== undefined)) return;
  throw new Refusal(501, "not-capable", "The store of this server cannot list sessions. Run it with one that can.");
}
