/**
 * The JSON API, for the OpenAPI document.
 *
 * @module
 */
import { answer, answers, answersToBody, ref, requestBody, type Part } from "./openapi-parts.ts";
import { SESSION_EXAMPLE, SUMMARY_EXAMPLE } from "./openapi-schemas.ts";

const TAG = { tags: ["sessions"] };
const NAME = ref("parameters/name");
const TOKEN = ref("parameters/token");
const NONE = { "404": ref("responses/NoSession") };
const RENEWED = { "Session-Token": ref("headers/Session-Token") };
const NEW_TOKEN = { "Session-Token": ref("headers/New-Session-Token") };
const CONFLICTS = { "409": ref("responses/Conflict"), "412": ref("responses/Changed") };

const SUBJECT: Part = {
  name: "subject",
  in: "query",
  description: "Whose sessions.",
  schema: { type: "string", minLength: 1, maxLength: 1000 },
  example: "user-42",
};

function session(description: string, token: Part = RENEWED): Part {
  const headers = { ETag: ref("headers/ETag"), ...token };
  return answer(description, ref("schemas/Session"), headers, SESSION_EXAMPLE);
}

/** The paths of the API. */
export const SESSION_PATHS: Part = {
  "/v1/sessions/{name}": { parameters: [NAME], ...collection() },
  "/v1/sessions/{name}/current": { parameters: [NAME, TOKEN], ...current() },
  "/v1/sessions/{name}/current/authenticate": { parameters: [NAME, TOKEN], post: signingIn() },
  "/v1/sessions/{name}/current/regenerate": { parameters: [NAME, TOKEN], post: regenerating() },
  "/v1/sessions/{name}/current/touch": { parameters: [NAME, TOKEN], post: touching() },
  "/v1/sessions/{name}/{id}": { parameters: [NAME, ref("parameters/id")], delete: revoking() },
};

function collection(): Part {
  return {
    post: {
      ...TAG,
      operationId: "beginSession",
      summary: "Begins a session",
      description: "A token that comes along is not looked at: this is another session.",
      requestBody: requestBody(ref("schemas/Beginning"), { data: { cart: ["tea"] }, subject: "user-42" }, false),
      responses: answersToBody({ "201": session("The new session.", NEW_TOKEN) }),
    },
    get: {
      ...TAG,
      operationId: "listSessions",
      summary: "Lists sessions, of a subject or page by page",
      description:
        "With `subject`: all of that subject, in any order. Without: a page of all sessions of this name; hand its `cursor` to the next request, until there is none. A page may have fewer sessions than `limit`, or none, or a few more.",
      parameters: [
        SUBJECT,
        { name: "cursor", in: "query", description: "What came with the page before.", schema: { type: "string" } },
        {
          name: "limit",
          in: "query",
          description: "How many sessions a page should have.",
          schema: { type: "integer", minimum: 1, maximum: 1000, default: 100 },
        },
      ],
      responses: answers({
        "200": answer("Sessions.", ref("schemas/SessionList"), {}, { sessions: [SUMMARY_EXAMPLE] }),
        "501": ref("responses/NotCapable"),
      }),
    },
    delete: {
      ...TAG,
      operationId: "revokeSubject",
      summary: "Ends all sessions of a subject, or all but one",
      parameters: [
        { ...SUBJECT, required: true },
        {
          name: "except",
          in: "query",
          description: 'The id of a session that stays: "sign out everywhere else".',
          schema: ref("schemas/Id"),
        },
      ],
      responses: answers({
        "200": answer("How many were ended.", ref("schemas/Revoked"), {}, { revoked: 3 }),
        "501": ref("responses/NotCapable"),
      }),
    },
  };
}

function current(): Part {
  return {
    get: {
      ...TAG,
      operationId: "readSession",
      summary: "Reads the session",
      description: "It counts as used.",
      responses: answers({ "200": session("The session."), ...NONE }),
    },
    put: {
      ...TAG,
      operationId: "replaceData",
      summary: "Replaces the data",
      description:
        "Keys that are not in `data` go. What another request changes at the same moment, in keys that this one does not change, stays: with `If-Match` it is 412 instead.",
      parameters: [ref("parameters/ifMatch")],
      requestBody: requestBody(ref("schemas/Replacement"), { data: { cart: [] } }),
      responses: answersToBody({ "200": session("The session as it is now."), ...NONE, ...CONFLICTS }),
    },
    patch: {
      ...TAG,
      operationId: "changeData",
      summary: "Changes some keys of the data",
      description:
        "Two requests at once that change different keys are both kept; of one key the later counts. With `If-Match` the second is 412.",
      parameters: [ref("parameters/ifMatch")],
      requestBody: requestBody(ref("schemas/Change"), { data: { theme: "dark" }, remove: ["cart"] }),
      responses: answersToBody({ "200": session("The session as it is now."), ...NONE, ...CONFLICTS }),
    },
    delete: {
      ...TAG,
      operationId: "endSession",
      summary: "Ends the session: signs out",
      description: "That there was none is no error, so that it can be asked for again. Throw the token away.",
      responses: answers({ "204": answer("There is no such session any more.") }),
    },
  };
}

function signingIn(): Part {
  return {
    ...TAG,
    operationId: "authenticateSession",
    summary: "Signs a subject in",
    description:
      "To be called after every check of a password, passkey or second factor. The old token is dead at once. When somebody else was signed in, this is a new session with an id of its own.",
    requestBody: requestBody(ref("schemas/SigningIn"), { subject: "user-42", level: "mfa" }),
    responses: answersToBody({ "200": session("The session as it is now.", NEW_TOKEN), ...NONE, ...conflict() }),
  };
}

function regenerating(): Part {
  return {
    ...TAG,
    operationId: "regenerateToken",
    summary: "Replaces the token",
    description: "To be called for every other change of what the user may do. The old token is dead at once.",
    responses: answers({ "200": session("The same session.", NEW_TOKEN), ...NONE, ...conflict() }),
  };
}

function conflict(): Part {
  return { "409": CONFLICTS["409"] };
}

function touching(): Part {
  return {
    ...TAG,
    operationId: "touchSession",
    summary: "Keeps the session from ending for want of use",
    description: "As every other request with its token does.",
    responses: answers({
      "204": answer("It lives for at least the idle timeout from now.", undefined, RENEWED),
      ...NONE,
    }),
  };
}

function revoking(): Part {
  return {
    ...TAG,
    operationId: "revokeSession",
    summary: "Ends a session by its public id",
    responses: answers({ "204": answer("It has ended."), ...NONE }),
  };
}
