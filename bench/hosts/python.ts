/**
 * Frameworks in Python, each with gunicorn and one worker that does one request at a time.
 *
 * @module
 */
import { join } from "node:path";
import { isInstalled, once, printed, type Program } from "../program.ts";

const SOURCE = join(import.meta.dirname, "../peers/python");
/** Debian's own comes first: its packages are not there for others. */
const PYTHONS = ["/usr/bin/python3", "python3"];

/** Flask. */
export const flaskProgram: Program = pythonProgram("flask", "flask_server:app");
/** Django. */
export const djangoProgram: Program = pythonProgram("django", "django_server:app");

function pythonProgram(name: "flask" | "django", app: string): Program {
  const python = once(() => PYTHONS.find((path) => isInstalled(path) && versionIn(path, name) !== ""));
  return {
    missing: (kind) => (python(kind) === undefined ? `python3 with ${name} and gunicorn is not installed` : undefined),
    serve({ kind, port }) {
      const address = `127.0.0.1:${port}`;
      const options = ["--workers", "1", "--bind", address, "--log-level", "error", "--chdir", SOURCE];
      return [python(kind) ?? "python3", "-B", "-m", "gunicorn", ...options, app];
    },
    versions() {
      const path = python("bare") ?? "python3";
      return {
        python: versionIn(path, "python"),
        [name]: versionIn(path, name),
        gunicorn: versionIn(path, "gunicorn"),
      };
    },
  };
}

/** Empty where there is no such package, or no gunicorn. */
function versionIn(path: string, name: string): string {
  const version = name === "python" ? "platform.python_version()" : `metadata.version(${JSON.stringify(name)})`;
  return printed([path, "-c", `import platform, gunicorn; from importlib import metadata; print(${version})`]);
}
