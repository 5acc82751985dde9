/**
 * One server of a fleet, behind HAProxy or nginx as configured beside this file. Three of them:
 *
 *     ROUTE=a PORT=3001 node examples/fleet/server.ts
 *     ROUTE=b PORT=3002 node examples/fleet/server.ts
 *     ROUTE=c PORT=3003 node examples/fleet/server.ts
 *
 * `REDIS_URL`: the Redis that they share, default `redis://localhost:6379`. `BALANCE=hash` goes with the configurations that
 * hash the session's id: then no client is told a route.
 */
import { once } from "node:events";
import express, { type Request } from "express";
import { createClient } from "redis";
import { cookie, defineSession, sticky } from "coatcheck";
import { sessions } from "coatcheck/express";
import { redisStore } from "coatcheck/store/redis";

const {
  ROUTE: route = "a",
  PORT: port = "3001",
  REDIS_URL: redisUrl = "redis://localhost:6379",
  BALANCE,
} = process.env;

const redis = createClient({ url: redisUrl });
redis.on("error", (error: Error) => console.error(error.message));
await redis.connect();

/** This server's place in the fleet. Its route is what the load balancer's configuration calls it. */
const here = sticky({ route });

const user = defineSession<{ visits: number }>({
  name: "user",
  store: redisStore(redis),
  // TLS ends at the load balancer, which says so. Nobody else may reach this port, or they could say so, too.
  transport: cookie({ trustProxy: true }),
  sticky: BALANCE === "hash" ? undefined : here,
});

const app = express();
app.disable("x-powered-by");

// 404 once we drain, not 503: HAProxy (`http-check disable-on-404`) then sends no new clients but goes on sending those that are
// bound to us, so that our answers can let them go. To others, such as Kubernetes, it is a failed check like any other.
app.get("/healthz", (_req, res) => {
  const isServing = here.state === "serving";
  res
    .status(isServing ? 200 : 404)
    .type("text")
    .send(here.state);
});

app.use(sessions(user));

app.get("/", async (req, res) => {
  const { data, subject = null } = await user.from(req);
  res.json({ server: route, subject, visits: data?.visits ?? 0 });
});

app.post("/visit", async (req, res) => {
  const session = await user.from(req);
  session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
  res.json({ server: route, visits: session.data?.visits });
});

app.post("/login", express.urlencoded({ extended: false }), async (req, res) => {
  const session = await user.from(req);
  session.authenticate(nameIn(req)); // once you have checked the password
  res.json({ server: route, subject: session.subject });
});

app.post("/logout", async (req, res) => {
  const session = await user.from(req);
  session.destroy();
  res.json({ server: route });
});

/** Whoever the form says. */
function nameIn({ body }: Request): string {
  const form: unknown = body;
  const isNamed = typeof form === "object" && form !== null && "username" in form && typeof form.username === "string";
  return isNamed ? (form.username as string) : "ada";
}

// The load balancer keeps connections to us open and is to close them first: one that we close just as it sends a request on it
// costs that request.
const server = app.listen(Number(port), () => console.log(`Server ${route} listens on port ${port}`));
server.keepAliveTimeout = 75_000;

// Deploy by SIGTERM, one server after the other: clients go to others and nobody is signed out. A second signal ends it at once.
process.once("SIGTERM", () => void leave());

async function leave(): Promise<void> {
  console.log(`Server ${route} drains`);
  const { handedOver, quiet } = await here.drain();
  console.log(`Server ${route} handed ${handedOver} sessions over${quiet ? "" : "; some clients were still coming"}`);
  server.close();
  await once(server, "close"); // what is under way is answered first
  await redis.close();
}
