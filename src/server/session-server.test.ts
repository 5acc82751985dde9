import { expect, test } from "vitest";
import { memoryStore } from "../store/memory.ts";
import { sessionServer, type SessionServerOptions } from "./session-server.ts";

const store = memoryStore();

test.each<[Record<string, unknown>, RegExp]>([
  [{ store: undefined }, /^store: /],
  [{ port: 80 }, /port is not an option of sessionServer/],
  [{ credentials: {} }, /^credentials: /],
  [{ maxBody: 0 }, /^maxBody: /],
  [{ rate: 1.5 }, /^rate: /],
  [{ maxConnections: "10" }, /^maxConnections: /],
  [{ headersTimeout: "soon" }, /^headersTimeout /],
  [{ requestTimeout: -1 }, /^requestTimeout /],
  [{ storeTimeout: "0s" }, /^storeTimeout /],
  [{ metrics: true }, /^metrics: /],
  [{ log: "file" }, /^log: /],
  [{ forwardAuth: ["shop"] }, /^forwardAuth: expected namespace\/name/],
  [{ forwardAuth: ["Shop/user"] }, /^forwardAuth: /],
  [{ forwardAuth: ["shop/a/b"] }, /^forwardAuth: /],
])("options that cannot work are refused: %j", (options, message) => {
  const given = { store, ...options } as unknown as SessionServerOptions;
  expect(() => sessionServer(given)).toThrow(
    expect.objectContaining({ name: "TypeError", message: expect.stringMatching(message) }),
  );
});
