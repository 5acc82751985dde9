import type { SessionView } from "../session-view.ts";
import { html } from "./html.ts";
import { heading, type Page } from "./layout.ts";

/** `failed` is the username of a try that did not work. */
export function loginPage(session: SessionView, failed?: string): Page {
  const wrong = failed !== undefined;
  const main = html`<div class="narrow">
    ${heading("Sign in", session.pieces > 0 ? "What is in your cart stays there." : "Your cart will be here when you come back.")}
    ${wrong && html`<p class="notice bad" role="alert" id="wrong">That username and password do not belong together.</p>`}
    <form class="panel fields" method="post" action="/login">
      <label for="username">Username</label>
      <input
        id="username"
        name="username"
        value="${failed}"
        autocomplete="username"
        autocapitalize="none"
        spellcheck="false"
        required
        autofocus
        ${wrong && html`aria-describedby="wrong"`}
      />
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required />
      <button>Sign in</button>
    </form>
    <p class="small">
      Two customers are known here: <code>ada</code> / <code>lovelace</code> and <code>grace</code> /
      <code>hopper</code>.
    </p>
  </div>`;
  return { title: "Sign in", here: "account", main, session };
}
