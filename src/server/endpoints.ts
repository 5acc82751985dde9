/**
 * What applications find on the server: one line each.
 *
 * @module
 */
import { forwardAuth } from "../adapter/forward-auth.ts";
import { cookie, defineSession } from "../index.ts";
import { milliseconds } from "../internal/duration.ts";
import type { SessionStore } from "../store/store.ts";
import { changesEndpoint } from "./changes-endpoint.ts";
import type { Mount } from "./mount.ts";
import { isNamespace, namespacedStore } from "./namespaced-store.ts";
import { openapi } from "./openapi.ts";
import type { SessionPolicy } from "./session-server.ts";
import { sessionsEndpoint } from "./sessions-endpoint.ts";
import { storeEndpoint } from "./store-endpoint.ts";

/** Which of them a path has, its endpoint says itself. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/** The endpoints of a session server. */
export function endpointsOf(policy: SessionPolicy): readonly Mount[] {
  const { clock } = policy;
  const { idleTimeout, absoluteTimeout, renewalTimeout, keys, audience, storeTimeout } = policy;
  const shared = { idleTimeout, absoluteTimeout, renewalTimeout, keys, audience, storeTimeout, clock };
  const timeout = milliseconds("storeTimeout", policy.storeTimeout ?? 2);
  return [
    { kind: "endpoint", path: "/v1/store", methods: ["POST"], endpoint: storeEndpoint({ timeout, clock }) },
    { kind: "endpoint", path: "/v1/changes", methods: ["GET"], streams: true, endpoint: changesEndpoint({ clock }) },
    { kind: "endpoint", path: "/v1/sessions", below: true, methods: METHODS, endpoint: sessionsEndpoint(shared) },
    { kind: "open", path: "/openapi.json", methods: ["GET", "HEAD"], answer: () => ({ status: 200, body: openapi() }) },
  ];
}

/** `"shop/user"`: what a proxy asks about. */
const KIND = /^([^/]+)\/([A-Za-z0-9_-]{1,64})$/;

/**
 * The endpoint of a proxy for a definition of a namespace, `kind` being `"namespace/name"`. Throws a `TypeError` for what is
 * none.
 */
export function forwardAuthMount(kind: string, store: SessionStore, policy: SessionPolicy): Mount {
  const [, namespace, name] = KIND.exec(kind) ?? [];
  if (!isNamespace(namespace) || name === undefined) {
    throw new TypeError("forwardAuth: expected namespace/name, such as shop/user");
  }
  const { idleTimeout, absoluteTimeout, renewalTimeout, keys, audience, storeTimeout, clock } = policy;
  const definition = defineSession({
    name,
    store: namespacedStore(store, namespace),
    transport: cookie(),
    idleTimeout,
    absoluteTimeout,
    renewalTimeout,
    keys,
    audience,
    storeTimeout,
    clock,
  });
  // The server says itself when its store fails, and not for every image of a page.
  const { node } = forwardAuth(definition, { onError: () => {} });
  return { kind: "proxy", path: `/forward-auth/${namespace}/${name}`, node };
}
