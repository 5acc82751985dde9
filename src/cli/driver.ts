/**
 * Drivers of databases: the user's own, for coatcheck carries none.
 *
 * @module
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** A driver that is not installed. */
export class DriverMissing extends Error {
  override readonly name = "DriverMissing";
}

/** Where drivers are looked for: where the command runs, and beside coatcheck. */
const PLACES: readonly string[] = [join(process.cwd(), "package.json"), import.meta.url];

/** Loads a driver by its import name. Rejects with a {@link DriverMissing} that says what to install. */
export async function loadDriver<Module>(name: string, places: readonly string[] = PLACES): Promise<Module> {
  for (const place of places) {
    const file = resolvedFrom(place, name);
    if (file === undefined) continue;
    const { default: all, ...some } = (await import(pathToFileURL(file).href)) as { readonly default?: object };
    // What a CommonJS module exports is behind `default`, and only what Node recognises is beside it.
    return { ...all, ...some } as Module;
  }
  throw new DriverMissing(`That store needs a driver: npm install ${name.split("/")[0]}`);
}

function resolvedFrom(place: string, name: string): string | undefined {
  try {
    return createRequire(place).resolve(name);
  } catch {
    return undefined;
  }
}
