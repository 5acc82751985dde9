import type { ProxyPlan, Upstream } from "./proxy.ts";

/** HAProxy in front of the servers: each in turn, so that a visitor keeps meeting another one. */
export function haproxyConfig({ port, upstreams }: ProxyPlan): string {
  return `global
  log stdout format raw local0 notice

defaults
  mode http
  log global
  timeout connect 500ms
  timeout client 10s
  timeout http-keep-alive 10s
  timeout check 500ms
  # A paused server accepts connections and says nothing. So long a visitor waits before another server is asked.
  timeout server 2500ms
  # A connection for each request: one that was kept open to a server that died would break under a request.
  option http-server-close
  # What did not reach a server, because it refused the connection, goes to the next one, whatever it is.
  retries 3
  option redispatch 1
  retry-on conn-failure empty-response response-timeout

frontend shop
  bind 127.0.0.1:${port}
  # What reached a server and was not answered may have been done: only what changes nothing is asked again.
  http-request disable-l7-retry unless METH_GET
  option forwardfor
  http-request set-header X-Forwarded-Proto http
  default_backend servers

backend servers
  balance roundrobin
  option httpchk GET /healthz
  # A server that answers 404 to that wants to leave: it finishes what it has and gets nothing new.
  http-check disable-on-404
  default-server check inter 500ms fall 2 rise 1
${upstreams.map((server) => `  server ${server.name} 127.0.0.1:${server.port}`).join("\n")}
`;
}

/** What HAProxy says when a server's health changes: `Server servers/a is DOWN, reason: Layer4 timeout, …`. */
export function haproxyNews(line: string, upstreams: readonly Upstream[]): string | undefined {
  const said = /^Server servers\/(\w+) is (UP|DOWN|stopping)\b(?:, reason: ([^,]+))?/.exec(line);
  const name = upstreams.find((server) => server.name === said?.[1])?.name;
  if (name === undefined) return undefined;
  if (said?.[2] === "UP") return `HAProxy sends requests to ${name} again.`;
  if (said?.[2] === "stopping") return `HAProxy sends nothing new to ${name}.`;
  return `HAProxy leaves ${name} out: it ${said?.[3]?.includes("timeout") === true ? "does not answer" : "refuses connections"}.`;
}
