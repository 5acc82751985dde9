/**
 * The tables in `docs/performance.md`: what stands between `<!-- bench: name -->` and `<!-- bench: end -->`.
 *
 * @module
 */
import { costTable, profileTable, provenance, ratioTable, routesOf, seriesTable, trafficTable } from "./report.ts";
import type { Results } from "./results.ts";

/** What the page shows: the last results of each kind, where there are any. */
export interface Shown {
  readonly usual: Results | undefined;
  readonly size: Results | undefined;
  readonly sessions: Results | undefined;
  readonly profile: Results | undefined;
}

/** The page with the tables of these results. What they do not have stays as it is. Throws an `Error` for an unknown mark. */
export function withTables(page: string, shown: Shown): string {
  const parts = partsOf(shown);
  return page.replaceAll(
    /(<!-- bench: (\w+) -->\n)([\s\S]*?)(<!-- bench: end -->)/g,
    (_all, start: string, name: string, before: string, end: string) => {
      if (!Object.hasOwn(parts, name)) throw new Error(`nobody knows <!-- bench: ${name} -->`);
      const text = parts[name];
      return `${start}${text === undefined ? before : `${text}\n`}${end}`;
    },
  );
}

function partsOf({ usual, size, sessions, profile }: Shown): Readonly<Record<string, string | undefined>> {
  const [measured] = usual?.measured ?? [];
  return {
    provenance: usual && provenance(usual),
    aims:
      measured &&
      ratioTable(
        measured.ratios.filter(({ target }) => target !== undefined),
        measured.rows,
      ),
    others:
      measured &&
      ratioTable(
        measured.ratios.filter(({ target }) => target === undefined),
        measured.rows,
      ),
    costs: measured && costTable(measured.rows),
    traffic: usual && trafficTable(usual.traffic),
    size: size && series(size),
    sessions: sessions && series(sessions),
    profile: profile && `${profileTable(profile.profiles)}\n\n${provenance(profile)}`,
  };
}

function series(results: Results): string {
  const routes = routesOf(results.measured.flatMap(({ rows }) => rows));
  const tables = routes.map((route) => seriesTable(results.measured, route));
  return [...tables, provenance(results)].join("\n\n");
}
