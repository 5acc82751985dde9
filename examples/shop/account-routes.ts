/* oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 awaits its handlers */
import { Router, type Request, type Response } from "express";
import type { Session } from "coatcheck";
import { answer } from "./answer.ts";
import { accountPage } from "./pages/account-page.ts";
import { loginPage } from "./pages/login-page.ts";
import { field, Problem, wantsJson } from "./request.ts";
import { say, viewOf } from "./session-view.ts";
import type { ShopData, ShopSessions } from "./sessions.ts";
import { isPassword } from "./users.ts";

/** Signing in and out, and what a customer may see of the own sessions. */
export function accountRoutes(user: ShopSessions): Router {
  const router = Router();

  router.get("/login", async (req, res) => {
    const session = await user.from(req);
    if (session.subject !== undefined && !wantsJson(req)) return res.redirect(303, "/account");
    answer(req, res, { json: () => ({ subject: session.subject ?? null }), page: () => loginPage(viewOf(session)) });
  });

  router.post("/login", async (req, res) => {
    const username = field(req, "username") ?? "";
    // Looked at before the slow part: of a double click both requests then know the guest's cart.
    const session = await user.from(req);
    if (!(await isPassword(username, field(req, "password") ?? ""))) return refuse(req, res, session, username);
    // The guest's cart stays, the guest's token is dead from here on.
    session.authenticate(username, { level: "password" });
    say(session, `Welcome, ${username}.`);
    res.redirect(303, "/account");
  });

  router.get("/account", async (req, res) => {
    const session = await user.from(req);
    const { subject } = session;
    if (subject === undefined) return turnAway(req, res);
    session.update((data) => ({ cart: data?.cart ?? {}, visits: (data?.visits ?? 0) + 1 }));
    // Written here and now, so that the list below shows it. Signed out from elsewhere in this very moment? Then that counts.
    if ((await session.commit()) === "gone") return turnAway(req, res);
    const { id: sessionId, createdAt, expiresAt } = session;
    const visits = session.data?.visits ?? 1;
    const devices = wantsJson(req) ? [] : await user.manager.list(subject);
    answer(req, res, {
      json: () => ({ subject, sessionId, worker: process.pid, visits, createdAt, expiresAt }),
      page: () => accountPage({ subject, sessionId, visits, devices }, viewOf(session)),
    });
  });

  router.post("/account/revoke", async (req, res) => {
    const session = await user.from(req);
    if (session.subject === undefined) return turnAway(req, res);
    await revoke(session, session.subject, field(req, "id"));
    res.redirect(303, "/account");
  });

  /** Ends one of the subject's own sessions; an id of somebody else's is as good as none. */
  async function revoke(session: Session<ShopData>, subject: string, id: string | undefined): Promise<void> {
    const own = await user.manager.list(subject);
    if (id === undefined || own.every((device) => device.id !== id)) {
      throw new Problem(404, "no_such_session", "You have no session of that name. It may have ended by itself.");
    }
    if (id === session.id) return session.destroy();
    await user.manager.revoke(id);
    say(session, "Signed out there.");
  }

  router.post("/logout", async (req, res) => {
    const session = await user.from(req);
    session.destroy();
    res.redirect(303, "/");
  });

  return router;
}

function turnAway(req: Request, res: Response): void {
  if (!wantsJson(req)) return res.redirect(303, "/login");
  res
    .status(401)
    .vary("Accept")
    .json({ error: "not_signed_in", message: "Sign in first: POST /login with username and password." });
}

function refuse(req: Request, res: Response, session: Session<ShopData>, username: string): void {
  const message = "That username and password do not belong together.";
  answer(req, res, {
    status: 401,
    json: () => ({ error: "wrong_credentials", message }),
    page: () => loginPage(viewOf(session), username),
  });
}
