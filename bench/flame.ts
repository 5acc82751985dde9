/**
 * Where the time goes, from the CPU profiles that V8 writes.
 *
 * @module
 */

/** A profile, as `--cpu-prof` leaves it. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** The node that was at work at each sample, by its id. */
  readonly samples: readonly number[];
  /** The microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

/** Whose code it is. `native`: of Node and the operating system, with no JavaScript of their own. */
export const OWNERS = ["coatcheck", "packages", "node", "gc", "native", "bench"] as const;
/** Whose code it is. */
export type Owner = (typeof OWNERS)[number];

/** A function, by whom it was called, and all the time until it returned. */
export interface Frame {
  readonly name: string;
  readonly owner: Owner;
  /** In microseconds, with that of those that it called. */
  readonly total: number;
  /** The most expensive first. */
  readonly children: readonly Frame[];
}

/** The calls of a server under load: without its start, and without the time that it had nothing to do. */
export function flameOf({ nodes, samples, timeDeltas }: CpuProfile): Frame {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const own = new Map<number, number>();
  for (const [index, id] of samples.entries()) own.set(id, (own.get(id) ?? 0) + (timeDeltas[index] ?? 0));
  const frameOf = (node: ProfileNode): Frame => {
    const below = (node.children ?? []).flatMap((id) => byId.get(id) ?? []);
    const children = merged(below.filter((child) => !isOutside(child)).map(frameOf));
    const { functionName, url } = node.callFrame;
    const total = children.reduce((sum, child) => sum + child.total, own.get(node.id) ?? 0);
    return {
      name: functionName === "" ? "(anonymous)" : functionName,
      owner: ownerOf(functionName, url),
      total,
      children,
    };
  };
  const [root] = nodes;
  if (root === undefined) throw new Error("the profile is empty");
  return { ...frameOf(root), name: "all" };
}

/** What the functions of each owner took by themselves, as parts of the whole. */
export function sharesOf(flame: Frame): Readonly<Record<Owner, number>> {
  const shares = { coatcheck: 0, packages: 0, node: 0, gc: 0, native: 0, bench: 0 };
  const add = ({ owner, total, children }: Frame): void => {
    shares[owner] += children.reduce((left, child) => left - child.total, total) / flame.total;
    children.forEach(add);
  };
  add(flame);
  return shares;
}

/** What is no answer to a request. */
function isOutside({ callFrame: { functionName, url } }: ProfileNode): boolean {
  return functionName === "(idle)" || /^node:internal\/(?:modules|main|bootstrap)/.test(url);
}

function ownerOf(name: string, url: string): Owner {
  if (name === "(garbage collector)") return "gc";
  if (url.startsWith("node:")) return "node";
  if (url.includes("/node_modules/")) return "packages";
  if (url.includes("/dist/")) return "coatcheck";
  return url === "" ? "native" : "bench";
}

/** Functions that V8 tells apart, and nobody else would. */
function merged(frames: readonly Frame[]): readonly Frame[] {
  const found = new Map<string, Frame>();
  for (const frame of frames) {
    const key = `${frame.owner} ${frame.name}`;
    const other = found.get(key);
    const children = other === undefined ? frame.children : merged([...other.children, ...frame.children]);
    found.set(key, { ...frame, total: frame.total + (other?.total ?? 0), children });
  }
  return [...found.values()].toSorted((a, b) => b.total - a.total);
}
