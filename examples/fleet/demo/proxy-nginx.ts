import type { ProxyPlan, Upstream } from "./proxy.ts";

const SCRATCH = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/** nginx in front of the servers, in turn. It does not ask for their health: it finds out by the requests. */
export function nginxConfig({ port, upstreams, directory }: ProxyPlan): string {
  return `daemon off;
pid ${directory}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events { worker_connections 512; }
http {
  access_log off;
${SCRATCH.map((name) => `  ${name}_temp_path ${directory}/nginx-${name};`).join("\n")}
  upstream servers {
${upstreams.map((server) => `    server 127.0.0.1:${server.port} max_fails=1 fail_timeout=2s;`).join("\n")}
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://servers;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_connect_timeout 500ms;
      # A paused server accepts connections and says nothing. So long a visitor waits before another server is asked.
      proxy_read_timeout 2500ms;
      # Not with non_idempotent: a POST that reached a server and was not answered may have been done.
      proxy_next_upstream error timeout;
      proxy_next_upstream_tries 3;
    }
  }
}
`;
}

/** What nginx says when it leaves a server out; it does not say when it takes it back. */
export function nginxNews(line: string, upstreams: readonly Upstream[]): string | undefined {
  if (!line.includes("temporarily disabled")) return undefined;
  const port = /upstream: "http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
  const server = upstreams.find((each) => each.port === Number(port));
  return server && `nginx leaves ${server.name} out for 2 s.`;
}
