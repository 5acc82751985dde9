/**
 * PHP in its built-in server: one process that does one request at a time and ends the connection.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { isInstalled, printed, type Program } from "../program.ts";

const SCRIPT = join(import.meta.dirname, "../peers/php/index.php");

/** The sessions are files in the folder of the server, and nothing looks for old ones, as Debian has it. */
export const phpProgram: Program = {
  missing: () => (isInstalled("php") ? undefined : "php is not installed"),
  serve({ port, folder }) {
    const sessions = join(folder, "sessions");
    mkdirSync(sessions, { recursive: true });
    const settings = ["opcache.enable_cli=1", "session.gc_probability=0", `session.save_path=${sessions}`];
    return ["php", "-q", ...settings.flatMap((setting) => ["-d", setting]), "-S", `127.0.0.1:${port}`, SCRIPT];
  },
  versions: () => ({ php: printed(["php", "-r", "echo PHP_VERSION;"]) }),
};
