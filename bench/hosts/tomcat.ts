/**
 * Tomcat, embedded in a program of a few lines.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isInstalled, printed, type Program } from "../program.ts";

const SOURCE = join(import.meta.dirname, "../peers/tomcat");
/** Where Debian keeps it, unless the environment says where it is. */
const HOME = process.env["CATALINA_HOME"] ?? "/usr/share/tomcat10";
const LIBRARIES = join(HOME, "lib");

/** The server is compiled into its folder, which is also its base directory. */
export const tomcatProgram: Program = {
  missing() {
    const needed = ["java", "javac"].find((name) => !isInstalled(name));
    if (needed !== undefined) return `${needed} is not installed`;
    return existsSync(join(LIBRARIES, "catalina.jar")) ? undefined : "tomcat10 is not installed";
  },
  build: (_kind, folder) => ({
    command: ["javac", "-nowarn", "-cp", join(LIBRARIES, "*"), "-d", folder, "Server.java"],
    directory: SOURCE,
    environment: {},
  }),
  serve({ folder }) {
    const path = [folder, join(LIBRARIES, "*"), join(HOME, "bin/tomcat-juli.jar")].join(":");
    return ["java", "-cp", path, "Server"];
  },
  versions() {
    const info = ["java", "-cp", join(LIBRARIES, "*"), "org.apache.catalina.util.ServerInfo"] as const;
    const text = printed([...info]);
    return { tomcat: versionAfter("Server version", text), java: versionAfter("JVM Version", text) };
  },
};

function versionAfter(name: string, text: string): string {
  return new RegExp(`${name}:[^\\d\\n]*([\\d.]+)`).exec(text)?.[1] ?? "unknown";
}
