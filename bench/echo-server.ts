/**
 * What the session server is measured beside: `node:http` that reads the JSON of a body, parses it and answers it as JSON; a
 * request without a body is answered with what it is. Prints its port.
 *
 * @module
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

function answer(res: ServerResponse, value: unknown): void {
  const text = JSON.stringify(value);
  res.writeHead(200, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) });
  res.end(text);
}

const server = createServer((req, res) => {
  if (req.method === "GET") return answer(res, { method: req.method, url: req.url });
  const chunks: Buffer[] = [];
  req.on("data", (chunk: Buffer) => chunks.push(chunk));
  req.on("end", () => answer(res, JSON.parse(Buffer.concat(chunks).toString()) as unknown));
});
server.listen(0, "127.0.0.1", () => console.log(`echo listens on ${(server.address() as AddressInfo).port}`));
