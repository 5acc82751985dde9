/**
 * Requests of somebody who wants to see a page without being signed in, as they go over the wire.
 */
import { HOST } from "./forward-auth-site.ts";

const PAGE = "/private/page.html";

/** By what each tries. `ended`: the cookie of a session that has ended. `two`: the cookies of two sessions, of one name. */
export function hostileRequests({ ended, two }: { ended: string; two: string }): Readonly<Record<string, string>> {
  const get = (target: string, ...headers: readonly string[]): string => request("GET", target, headers);
  const name = "__Host-Http-user";
  const inner = `GET ${PAGE} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`;
  return {
    "dot segments": get(`/sign-in/..${PAGE}`),
    "encoded dot segments": get(`/sign-in/%2e%2e${PAGE}`),
    "an encoded slash": get(`/sign-in%2f..${PAGE}`),
    "an encoded slash to the account": get("/account/..%2fsign-in"),
    "dots that end at a page for everybody": get("/account/../sign-in"),
    "two slashes": get(`/${PAGE}`),
    "two slashes to the account": get("//account/"),
    "a backslash": get("/sign-in\\..\\private\\page.html"),
    "an encoded letter": get("/%70rivate/page.html"),
    "an encoded letter of a page for everybody": get("/sign-%69n/../private/page.html"),
    "an encoded zero": get(`/sign-in%00${PAGE}`),
    "a parameter of a segment": get(`/sign-in;/..${PAGE}`),
    "a query": get(`${PAGE}?/sign-in`),
    "a fragment": get(`${PAGE}#/sign-in`),
    capitals: get("/PRIVATE/page.html"),
    "an absolute target": get(`https://${HOST}${PAGE}`),
    "an absolute target of another host": get(`http://localhost${PAGE}`),
    "no cookie": get(PAGE),
    "the cookie of a session that has ended": get(PAGE, `Cookie: ${ended}`),
    "two cookies of the name": get(PAGE, `Cookie: ${two}`),
    "two cookie lines of the name": get(PAGE, ...two.split("; ").map((one) => `Cookie: ${one}`)),
    "a cookie that is too long": get(PAGE, `Cookie: ${name}=${"x".repeat(7_000)}`),
    "cookies that are too long for anybody": get(PAGE, `Cookie: ${`a=${"x".repeat(4_000)}; `.repeat(12)}`),
    "many cookies of the name": get(
      PAGE,
      `Cookie: ${Array.from({ length: 80 }, (_, i) => `${name}=${String(i).repeat(30)}`).join("; ")}`,
    ),
    "a header in the cookie": get(PAGE, `Cookie: ${name}=x\rX-Session-Subject: ada`),
    "a cookie without a prefix": get(PAGE, `Cookie: user=${ended.split("=")[1]}`),
    "an identity of its own": get("/account/", "X-Session-Subject: ada", "X_Session_Subject: ada"),
    "the answer of the session server": get(PAGE, "X-Session-Status: 200", "Status: 200"),
    "another path in a header": get(
      PAGE,
      "X-Original-URL: /sign-in",
      "X-Rewrite-URL: /sign-in",
      "X-Forwarded-Uri: /sign-in",
    ),
    "another path for the page for everybody": get("/sign-in", "X-Original-URL: /account/", "X-Rewrite-URL: /account/"),
    "another method": request("POST", PAGE, ["Content-Length: 0", "X-HTTP-Method-Override: GET"]),
    "a method of its own": request("FETCH", "/account/", []),
    TRACE: request("TRACE", "/account/", ["X-Session-Subject: ada"]),
    CONNECT: request("CONNECT", `${HOST}:443`, []),
    "a WebSocket": get(
      "/account/",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ),
    "HTTP/2 by upgrade": get(PAGE, "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    "HTTP/1.0": `GET ${PAGE} HTTP/1.0\r\n\r\n`,
    "HTTP/0.9": `GET ${PAGE}\r\n\r\n`,
    "a request inside the body of another": request(
      "POST",
      "/sign-in",
      [`Content-Length: ${inner.length}`, "Content-Type: text/plain"],
      inner,
    ),
    "both lengths": request(
      "POST",
      "/sign-in",
      ["Content-Length: 4", "Transfer-Encoding: chunked"],
      `0\r\n\r\n${inner}`,
    ),
    "two lengths": request("POST", "/sign-in", ["Content-Length: 0", `Content-Length: ${inner.length}`], inner),
    "a coding that nobody knows": request("POST", "/sign-in", ["Transfer-Encoding: xchunked"], inner),
    "a folded coding": request("POST", "/sign-in", ["Transfer-Encoding:\r\n chunked"], `0\r\n\r\n${inner}`),
    "a chunk that lies": request("POST", "/sign-in", ["Transfer-Encoding: chunked"], `1\r\nxyz\r\n0\r\n\r\n${inner}`),
    "a second host": get(PAGE, "Host: localhost"),
    "a header whose name ends with a blank": get(PAGE, "X-Session-Subject : ada"),
  };
}

/** The same over HTTP/2, whose heads say in fields what a request line says. `cookie`: of somebody who is signed in as bob. */
export function hostileHeads(cookie: string): Readonly<Record<string, Readonly<Record<string, string>>>> {
  const head = (more: Readonly<Record<string, string>>): Readonly<Record<string, string>> => ({
    ":method": "GET",
    ":path": PAGE,
    ":authority": HOST,
    ":scheme": "https",
    ...more,
  });
  return {
    "no cookie": head({}),
    "dot segments": head({ ":path": `/sign-in/..${PAGE}` }),
    "encoded dot segments": head({ ":path": `/sign-in/%2e%2e${PAGE}` }),
    "an encoded slash": head({ ":path": "/account/..%2fsign-in" }),
    "a path without a slash": head({ ":path": "sign-in" }),
    "a path that is none": head({ ":path": "*", ":method": "OPTIONS" }),
    "an absolute path": head({ ":path": `https://${HOST}/sign-in/..${PAGE}` }),
    "a request line in the path": head({ ":path": `/sign-in HTTP/1.1\r\nHost: ${HOST}\r\n\r\nGET ${PAGE}` }),
    "a blank in the path": head({ ":path": `/sign-in ${PAGE}` }),
    "a fragment in the path": head({ ":path": `/sign-in#/..${PAGE}` }),
    "another scheme": head({ ":scheme": "http" }),
    "a scheme with a path": head({ ":scheme": `https://${HOST}/sign-in?` }),
    "an authority with a path": head({ ":authority": `${HOST}/sign-in` }),
    "an authority with a user": head({ ":authority": `ada@${HOST}` }),
    "a host that is another one": head({ host: "localhost" }),
    "a method with a path": head({ ":method": "GET /sign-in HTTP/1.1\r\nX:" }),
    HEAD: head({ ":method": "HEAD" }),
    OPTIONS: head({ ":method": "OPTIONS", origin: `https://${HOST}`, "access-control-request-method": "GET" }),
    "a WebSocket": head({ ":method": "CONNECT", ":protocol": "websocket", ":path": "/account/" }),
    "an identity": head({ ":path": "/account/", "x-session-subject": "ada", x_session_subject: "ada" }),
    "an identity behind a line end": head({ ":path": "/account/", "x-a": "b\r\nx-session-subject: ada" }),
    "a cookie behind a line end": head({ "x-a": `b\r\ncookie: ${cookie}` }),
    "a length": head({ ":method": "POST", ":path": "/sign-in", "content-length": "0" }),
    "a coding": head({ ":method": "POST", ":path": "/sign-in", "transfer-encoding": "chunked" }),
    "a trailer": head({ te: "trailers", trailer: "cookie" }),
  };
}

function request(method: string, target: string, headers: readonly string[], body = ""): string {
  return `${[`${method} ${target} HTTP/1.1`, `Host: ${HOST}`, ...headers, "Connection: close"].join("\r\n")}\r\n\r\n${body}`;
}
