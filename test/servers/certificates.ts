/**
 * Certificates for tests of TLS: an authority, a server, two clients, and a client of another authority.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A private key and its certificate, as PEM. */
export interface Pair {
  readonly key: Buffer;
  readonly cert: Buffer;
}

const CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Makes them. */
export function certificates(): Record<"ca" | "server" | "ada" | "bob" | "mallory", Pair> {
  const folder = mkdtempSync(join(tmpdir(), "coatcheck-"));
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): void => void execFileSync("openssl", args, { stdio: "ignore" });
  const pair = (name: string): Pair => ({
    key: readFileSync(file(`${name}.key`)),
    cert: readFileSync(file(`${name}.pem`)),
  });
  const authority = (name: string): void =>
    openssl(
      "req",
      "-x509",
      ...CURVE,
      "-subj",
      `/CN=${name}`,
      "-keyout",
      file(`${name}.key`),
      "-out",
      file(`${name}.pem`),
    );
  const signed = (name: string, by: string): void => {
    openssl("req", ...CURVE, "-subj", `/CN=${name}`, "-keyout", file(`${name}.key`), "-out", file(`${name}.csr`));
    const authorityArgs = ["-CA", file(`${by}.pem`), "-CAkey", file(`${by}.key`), "-CAcreateserial"];
    openssl("x509", "-req", "-in", file(`${name}.csr`), ...authorityArgs, "-days", "2", "-out", file(`${name}.pem`));
  };
  try {
    for (const name of ["ca", "evil"]) authority(name);
    for (const name of ["server", "ada", "bob"]) signed(name, "ca");
    signed("mallory", "evil");
    return { ca: pair("ca"), server: pair("server"), ada: pair("ada"), bob: pair("bob"), mallory: pair("mallory") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
