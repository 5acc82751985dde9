/**
 * What applications find on the server: one line each.
 *
 * @module
 */
import type { Mount } from "./mount.ts";
import { isNamespace } from "./namespaced-store.ts";
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
export function forwardAuthMount(kind: string, _store: SessionStore, _policy: SessionPolicy): Mount {
  const [, namespace, name] = KIND.exec(kind) ?? [];
  if (!isNamespace(namespace) || name === undefined) {
    throw new TypeError("forwardAuth: expected namespace/name, such as shop/user");
  }
  // const definition = defineSession({ …policy, name, store: namespacedStore(store, namespace), transport: cookie() });
  // return { kind: "proxy", path: `/forward-auth/${namespace}/${name}`, node: forwardAuth(definition).node };
  throw new TypeError("forwardAuth: is not there yet");
}
