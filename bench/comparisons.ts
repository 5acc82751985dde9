/**
 * Which of ours stands beside which of theirs, and what is aimed at (design §6). Where theirs is in another language, ours is on
 * Express.
 *
 * @module
 */
import type { Route } from "./data.ts";

/** Two subjects, on one framework where that is possible. */
export interface Comparison {
  readonly ours: string;
  readonly peer: string;
  /** Which part of the peer's cost ours may have, by route. Nothing: not said. */
  readonly targets: Readonly<Partial<Record<Route, number>>>;
  /** Compare whole requests, instead of what they cost over the framework alone. */
  readonly whole: boolean;
}

/** All of them. */
export const COMPARISONS: readonly Comparison[] = [
  against("express/express-session", "express/memory", { read: 1 / 6, write: 1 / 6 }),
  against("express/express-session", "express/drop-in", { untouched: 1 / 3, read: 1 / 3, write: 1 / 3 }),
  against("express/iron-session", "express/sealed", { read: 1 / 20, write: 1 / 20 }),
  against("express/iron-session", "express/sealed-cold", { read: 1 / 20 }),
  against("express/cookie-session", "express/signed", { read: 1 / 12, write: 1 / 12 }),
  against("express/cookie-session", "express/signed-cold", { read: 1 / 12 }),
  against("express/connect-redis", "express/redis", {}),
  { ...against("express/get-by-hand", "express/redis", { read: 1.3 }), whole: true },
  { ...against("express/select-by-hand", "express/postgres", { read: 1.5 }), whole: true },
  { ...against("express/mysql-by-hand", "express/mysql", { read: 1.5 }), whole: true },
  against("fastify/@fastify/session", "fastify/memory", { read: 1 / 4, write: 1 / 4 }),
  against("fastify/@fastify/secure-session", "fastify/sealed", { read: 1 / 2, write: 1 }),
  against("fastify/@fastify/secure-session", "fastify/sealed-cold", { read: 1 }),
  against("koa/koa-session", "koa/memory", { read: 1 / 12, write: 1 / 12 }),
  against("hono/@hono/session", "hono/sealed", { read: 1 / 12, write: 1 / 12 }),
  against("hono/@hono/session", "hono/sealed-cold", { read: 1 / 12 }),
  against("hono/hono-sessions", "hono/memory", { read: 1 / 100, write: 1 / 100 }),
  against("hono/hono-sessions-plain", "hono/memory", {}),
  against("hono/react-router", "hono/signed", {}),
  against("h3/h3", "h3/sealed", {}),
  against("express/better-auth", "express/memory", {}),
  against("express/better-auth-cookie", "express/signed", {}),
  against("go/scs", "express/memory", { read: 1 / 6, write: 1 / 6 }),
  against("go/gorilla-cookie", "express/signed", {}),
  against("go/gorilla-files", "express/directory", {}),
  against("tomcat/http-session", "express/memory", {}),
  against("flask/flask-session", "express/signed", {}),
  against("django/django-memory", "express/memory", {}),
  against("django/django-cookie", "express/signed", {}),
  against("php/php-session", "express/directory", {}),
];

function against(peer: string, ours: string, targets: Comparison["targets"]): Comparison {
  return { ours, peer, targets, whole: false };
}
