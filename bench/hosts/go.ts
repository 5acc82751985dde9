/**
 * Go's net/http. gorilla/sessions is taken from where Debian keeps it, scs from the cache of modules: nothing is downloaded here.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isInstalled, printed, type Program } from "../program.ts";
import type { Kind } from "../subjects.ts";

const SOURCE = join(import.meta.dirname, "../peers/go");
const DEBIAN = "/usr/share/gocode";
const SCS = "github.com/alexedwards/scs/v2";
const GORILLA = "github.com/gorilla/sessions";

const WITHOUT_MODULES = { GO111MODULE: "off", GOPATH: DEBIAN };
const FROM_CACHE = { GO111MODULE: "on", GOFLAGS: "-mod=readonly", GOPROXY: "off" };

/** A server is one executable, in its folder. */
export const goProgram: Program = {
  missing(kind) {
    if (!isInstalled("go")) return "go is not installed";
    if (kind === "scs" && versionOfScs() === "") return "scs is not there (go mod download, in bench/peers/go)";
    if (isGorilla(kind) && !existsSync(join(DEBIAN, "src", GORILLA))) {
      return "gorilla/sessions is not installed (golang-github-gorilla-sessions-dev)";
    }
    return undefined;
  },
  build(kind, folder) {
    const tags = kind === "scs" ? ["-tags", "scs"] : isGorilla(kind) ? ["-tags", "gorilla"] : [];
    return {
      command: ["go", "build", "-buildvcs=false", ...tags, "-o", join(folder, "server"), "."],
      directory: SOURCE,
      environment: kind === "scs" ? FROM_CACHE : WITHOUT_MODULES,
    };
  },
  serve: ({ folder }) => [join(folder, "server")],
  versions: () => ({
    go: /go([\d.]+)/.exec(printed(["go", "version"]))?.[1] ?? "unknown",
    ...(versionOfScs() !== "" && { scs: versionOfScs() }),
    ...(existsSync(join(DEBIAN, "src", GORILLA)) && { "gorilla/sessions": debianVersion() }),
  }),
};

function isGorilla(kind: Kind): boolean {
  return kind === "gorilla-cookie" || kind === "gorilla-files";
}

/** Empty when it has not been downloaded. */
function versionOfScs(): string {
  const format = "{{if .Dir}}{{.Version}}{{end}}";
  return printed(["go", "list", "-m", "-f", format, SCS], { cwd: SOURCE, env: FROM_CACHE }).replace(/^v/, "");
}

function debianVersion(): string {
  const found = printed(["dpkg-query", "-W", "-f", "${Version}", "golang-github-gorilla-sessions-dev"]);
  return found === "" ? "unknown" : found;
}
