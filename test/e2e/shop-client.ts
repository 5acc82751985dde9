import type { SessionAgent } from "coatcheck/testing";
import { patiently } from "./shop-process.ts";

export const JSON_HEADERS: Readonly<Record<string, string>> = { Accept: "application/json" };

/** A page as JSON, with the `status` that came with it. */
export async function json(agent: SessionAgent, path: string): Promise<Record<string, unknown>> {
  const response = await patiently(() => agent.fetch(path, { headers: JSON_HEADERS }));
  return { status: response.status, ...((await response.json()) as object) };
}

/** Sends a form. */
export async function post(agent: SessionAgent, path: string, fields: Record<string, string> = {}): Promise<Response> {
  return await agent.fetch(path, { method: "POST", body: new URLSearchParams(fields) });
}

export async function signIn(agent: SessionAgent, username = "ada", password = "lovelace"): Promise<Response> {
  return await post(agent, "/login", { username, password });
}
