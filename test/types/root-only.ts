/**
 * An app of the web platform alone: the root, fetch and memory doors have to compile without the types of Node.
 */
import { defineSession } from "coatcheck";
import { withSessions } from "coatcheck/fetch";
import { memoryStore } from "coatcheck/store/memory";

const user = defineSession<{ visits: number }>({ name: "user", store: memoryStore() });

export const handler: (request: Request) => Promise<Response> = withSessions(async (request: Request) => {
  const session = await user.from(request);
  session.update((data) => ({ visits: (data?.visits ?? 0) + 1 }));
  return new Response(String(session.data?.visits));
}, user);
