/**
 * What a hostile client sends to a session server, whichever it is: parts of requests, each of which has to be refused.
 */

const BEHIND: readonly string[] = [
  "..",
  ".",
  "",
  "%2e%2e",
  "%2E.",
  "a%2fb",
  "a%5Cb",
  "a\\b",
  "%00",
  "a%00b",
  "%0a",
  "%",
  "%f",
  "%gg",
  "%c0%ae",
  "%ff",
];
/** Targets that are another spelling of a path, or none. */
export const ODD_PATHS: readonly string[] = [
  ...BEHIND.flatMap((part) => [`/v1/sessions/${part}`, `/v1/sessions/${part}/user`, `/v1/${part}/store`]),
  "//v1/store",
  "/v1//store",
  "/v1/store/",
  "/v1/store//",
  "/./v1/store",
  "/v1/../v1/store",
  "/v1/store%20",
  "/V1/store",
  "/v1/Store",
  "/v1/%73tore",
  "/v1%2fstore",
  "/v1/store;a=b",
  "/v1/store%3f",
  "/v1/store.",
  "/",
  "*",
  "http://localhost/v1/store",
  "localhost:80",
  "v1/store",
  "/v1/store#x",
  "/v1\\store",
  "\\v1\\store",
];

/** Lines of a head that must not be in the head of a request with a body of two bytes and these credentials. */
export function oddLines(authorized: string): readonly string[] {
  return [
    authorized,
    "authorization: Bearer other",
    "Host: other",
    "HOST: localhost",
    "Content-Length: 2",
    "Content-Length: 3",
    "Content-Length: +2",
    "Content-Length: 2, 2",
    "Content-Length: 0x2",
    "Content-Length : 2",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding:\tchunked",
    " Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
    "Session-Token: a\nsession-token: b",
    "Origin: a\nOrigin: b",
    "Content-Type: application/json",
    "Content-Encoding: gzip\nContent-Encoding: identity",
    "Na me: x",
    "Name : x",
    ": x",
    "Na\u0000me: x",
    "Name: a\u0000b",
    "Name: a\rb",
    "No colon",
    "\tfolded",
  ];
}

/** What is no request of HTTP/1.1. */
export const NO_REQUESTS: readonly string[] = [
  "GET /v1/store\r\n\r\n",
  "GET /v1/store HTTP/1.1 x\r\nHost: a\r\n\r\n",
  "GET /v1/store HTTP/9.9\r\nHost: a\r\n\r\n",
  "get /v1/store HTTP/1.1\r\nHost: a\r\n\r\n",
  "HELO there\r\n\r\n",
  "\u0016\u0003\u0001\u0002\u0000\u0001",
  "GET /v1/store HTTP/1.1\nHost: a\n\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/** Bodies that are no JSON. */
export const NO_JSON: readonly string[] = ["{", "{}}", "\ufeff{}", "undefined", "'a'", "NaN", "[1,]"];

/** Types of bodies that are not read. */
export const NO_JSON_TYPES: readonly string[] = [
  "text/plain",
  "application/jsonp",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "",
];
