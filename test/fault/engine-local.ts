/** The stores without a server: what goes wrong there are the processes. */
import { join } from "node:path";
import { fault, type Engine, type Fault, type FaultOn, type Servers, type Topology } from "./fault.ts";
import type { Flaw } from "./flaws.ts";

function files(engine: "sqlite" | "directory", flaw?: Flaw): Topology<Servers> {
  return {
    name: engine === "sqlite" ? "one file" : "one directory",
    start: async (folder) => ({
      store: { engine, path: join(folder, "sessions"), ...(flaw === undefined ? {} : { flaw }) },
      stop: async () => {},
    }),
  };
}

/** Faults of the processes themselves, that every store must bear. */
export const processFaults: readonly FaultOn<Servers>[] = [
  {
    name: "calm",
    title: "nothing happens",
    promised: "nothing fails",
    fails: "never",
    inject: () => {},
  },
  {
    name: "app-killed",
    title: "one of the two processes is killed (SIGKILL), and starts again after 1 s",
    promised: "what it had answered is kept; the other process goes on",
    fails: "must",
    lasts: 1_000,
    inject: (_, { apps }) => apps[1].kill(),
    clear: (_, { apps }) => apps[1].restart(),
  },
  {
    name: "app-paused",
    title: "one of the two processes stands still (SIGSTOP) for 3 s",
    promised: "it goes on and does no harm",
    fails: "may",
    lasts: 3_000,
    inject: (_, { apps }) => apps[1].pause(),
    clear: (_, { apps }) => apps[1].resume(),
  },
];

function local(name: "sqlite" | "directory"): Engine {
  const quick = new Set(["app-killed"]);
  return {
    name,
    versions: () => ({ node: process.versions.node }),
    missing: () => undefined,
    faults: processFaults.map((of): Fault => fault(files(name), of, quick.has(of.name))),
  };
}

export const sqlite: Engine = local("sqlite");
export const directory: Engine = local("directory");

/** A calm run over a store that is wrong on purpose. */
export function calmWithFlaw(flaw: Flaw): Fault {
  const [calm] = processFaults;
  if (calm === undefined) throw new Error("no calm run");
  return fault(files("sqlite", flaw), calm);
}
