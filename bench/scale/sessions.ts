/**
 * Many sessions, made as visitors make them: each by a request that signs in and writes.
 *
 * @module
 */
import { cookie, defineSession, type SessionStore } from "coatcheck";
import { withSessions } from "coatcheck/fetch";

/** What every session says. */
interface ScaleData {
  user: string;
  role: string;
  theme: string;
  locale: string;
  cart: string[];
  count: number;
}

/** What the data of one session takes as JSON, in bytes. */
export const DATA_BYTES: number = Buffer.byteLength(JSON.stringify(dataOf()));

/** Sessions in a store, and the requests that lead to them. */
export interface Population {
  /** Makes a session; returns the `Cookie` of its client. `subject` signs it in. */
  make(subject?: string): Promise<string>;
  /** One request that looks at a session. Throws an `Error` when it does not find it. */
  read(cookie: string): Promise<void>;
}

/** An empty population over a store. */
export function populationIn(store: SessionStore): Population {
  // No clock moves that would make a read write now and then: a million take minutes to make, a thousand no time.
  const clocks = { idleTimeout: false, renewalTimeout: false } as const;
  const user = defineSession<ScaleData>({ name: "scale", store, transport: cookie(), ...clocks });
  const handle = withSessions(async (request) => {
    const session = await user.from(request);
    const subject = request.headers.get("x-subject");
    if (request.method === "GET") return new Response(session.data?.user);
    session.set(dataOf());
    if (subject !== null) session.authenticate(subject);
    return new Response("made");
  }, user);
  return {
    async make(subject) {
      const headers = subject === undefined ? {} : { "x-subject": subject };
      const response = await handle(new Request("https://shop.example/", { method: "POST", headers }));
      const pair = response.headers.getSetCookie()[0]?.split(";", 1)[0];
      if (pair === undefined) throw new Error("no session was made");
      return pair;
    },
    async read(pair) {
      const response = await handle(new Request("https://shop.example/", { headers: { cookie: pair } }));
      if ((await response.text()) !== "ada") throw new Error("a session was not found");
    },
  };
}

function dataOf(): ScaleData {
  return {
    user: "ada",
    role: "subscriber",
    theme: "dark",
    locale: "en-GB",
    cart: ["apple", "pear", "plum"],
    count: 1_000_000,
  };
}
