/**
 * What applications find on the server: one line each.
 *
 * @module
 */
import { forwardAuth } from "../adapter/forward-auth.ts";
import { cookie, defineSession } from "../index.ts";
import type { Mount } from "./mount.ts";
import { isNamespace, namespacedStore } from "./namespaced-store.ts";
import type { SessionPolicy } from "./session-server.ts";
import type { SessionStore } from "../store/store.ts";

/** The endpoints of a session server. */
export function endpointsOf(_policy: SessionPolicy): readonly Mount[] {
  return [
    // { kind: "endpoint", path: "/v1/store", methods: ["POST"], endpoint: storeEndpoint({ timeout }) },
    // { kind: "endpoint", path: "/v1/sessions", below: true, methods: [...], endpoint: sessionsEndpoint(policy) },
    // { kind: "open", path: "/openapi.json", methods: ["GET", "HEAD"], answer: () => ({ status: 200, body: openapi() }) },
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
