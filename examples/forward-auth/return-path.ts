/**
 * Where somebody was on the way to before the proxy sent them to sign in.
 */

/** What has a meaning in a path or a query; no `\`, which browsers take for `/`, no blank, and nothing that is no ASCII. */
const PLAIN = /^\/(?!\/)[\w\-.~%!$&'()*+,:;=@?/]*$/;

/**
 * The path behind `?return=`, to its end, as the proxy copied it from the request; or percent-encoded, and then perhaps a whole
 * URL, as Traefik writes it, of which only the path counts. `/` for all that could lead to another site: anybody can make a
 * link to the sign-in page.
 */
export function returnPath(target: string): string {
  const [, asked = "/"] = /\?return=(.*)$/s.exec(target) ?? [];
  const path = asked.startsWith("/") ? asked : decoded(asked).replace(/^https?:\/\/[^/?#]*(?=\/)/, "");
  return PLAIN.test(path) && new URL(path, "https://site.invalid").host === "site.invalid" ? path : "/";
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "/";
  }
}
