/**
 * Which mount a request is for.
 *
 * @module
 */
import { Refusal } from "./endpoint.ts";
import type { Mount } from "./mount.ts";
import { segmentsOf } from "./request-path.ts";

/** A mount, and what of the target is behind its path. */
export interface Route {
  readonly mount: Mount;
  /** The segments behind the mount's own, percent-decoded. */
  readonly path: readonly string[];
  /** What is behind the `?`. */
  readonly search: string;
}

/** Finds mounts. */
export interface Routes {
  /**
   * The route of a request's target; undefined when there is none. Throws a {@link Refusal} for a target that is no plain path,
   * with or without a query.
   */
  find(target: string): Route | undefined;
}

const NONE: readonly string[] = Object.freeze([]);

/** The routes to these mounts. Throws a `TypeError` when two have one path. */
export function routesTo(mounts: readonly Mount[]): Routes {
  // Most requests are for just a path: they cost one look-up.
  const exact = new Map<string, Route>();
  for (const mount of mounts) {
    if (exact.has(mount.path)) throw new TypeError(`two are mounted at ${mount.path}`);
    exact.set(mount.path, Object.freeze({ mount, path: NONE, search: "" }));
  }
  const proxies = mounts.filter(({ kind }) => kind === "proxy");
  const deep = mounts.filter((mount) => mount.kind === "endpoint" && mount.below === true);
  return {
    find(target) {
      const route = exact.get(target);
      if (route !== undefined) return route;
      // What follows is a proxy's, and the path of somebody else's request.
      const proxy = proxies.find(({ path }) => isBelow(target, path) || target[path.length] === "?");
      if (proxy !== undefined && target.startsWith(proxy.path)) return exact.get(proxy.path);
      return routeOf(target, exact, deep);
    },
  };
}

function isBelow(target: string, path: string): boolean {
  return target.startsWith(path) && target.charCodeAt(path.length) === 47;
}

function routeOf(target: string, exact: ReadonlyMap<string, Route>, deep: readonly Mount[]): Route | undefined {
  if (target.charCodeAt(0) !== 47) {
    throw new Refusal(400, "bad-target", "The target of a request must be a path that begins with /.");
  }
  const mark = target.indexOf("?");
  const path = mark === -1 ? target : target.slice(0, mark);
  const search = mark === -1 ? "" : target.slice(mark + 1);
  const segments = segmentsOf(path);
  const mount = exact.get(path)?.mount;
  if (mount !== undefined) return { mount, path: NONE, search };
  const above = deep.find((candidate) => isBelow(path, candidate.path));
  if (above === undefined) return undefined;
  return { mount: above, path: segments.slice(above.path.split("/").length - 1), search };
}
