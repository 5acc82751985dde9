/**
 * The CSRF token that came with a request.
 *
 * @module
 */
import { chain, type MaybePromise } from "../internal/maybe-promise.ts";
import type { SessionRequest } from "../session/request.ts";
import type { RequestView } from "../transport/transport.ts";
import type { ResolvedPlaces } from "./csrf-options.ts";

/** The token, from the first place that has one; undefined when none has. */
export function sentToken(
  places: ResolvedPlaces,
  request: SessionRequest,
  view: RequestView,
): MaybePromise<string | undefined> {
  const sent = filled(view.header(places.header)) ?? filled(fieldOf(bodyOf(request), places.field));
  return sent ?? chain(places.read(request), (found) => (typeof found === "string" ? found : undefined));
}

/** A place that is there and empty has no token. */
function filled(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** What the framework made of the body, if it did. Koa's `ctx.body` is what is answered, so its request comes first. */
function bodyOf(request: SessionRequest): unknown {
  const inner = membersOf(membersOf(request)["request"]);
  return inner["body"] ?? (membersOf(request)["request"] === undefined ? membersOf(request)["body"] : undefined);
}

function fieldOf(body: unknown, name: string): string | undefined {
  const members = membersOf(body);
  const value = Object.hasOwn(members, name) ? members[name] : undefined;
  return typeof value === "string" ? value : undefined;
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
