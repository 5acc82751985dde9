import type { SessionView, Ticket } from "../session-view.ts";
import { since, until } from "./format.ts";
import { html, type Html } from "./html.ts";

/** What every page is made of. */
export interface Page {
  readonly title: string;
  /** Where in the navigation this is. */
  readonly here?: "catalogue" | "cart" | "account";
  readonly main: Html;
  /** Left out on pages that do not look at the session. */
  readonly session?: SessionView;
}

/** Who answers, in words. */
export interface House {
  readonly server: string;
  /** What the servers share. */
  readonly store: string;
}

/** What the server adds. */
export interface Frame extends House {
  readonly stylesheet: string;
}

export function document({ title, here, main, session }: Page, { stylesheet, ...house }: Frame): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · The Cloakroom</title>
        <link rel="icon" href="${ICON}" />
        <link rel="stylesheet" href="${stylesheet}" />
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <div class="wrap">
            <a class="brand" href="/"><span class="peg" aria-hidden="true">N° 7</span> The Cloakroom</a>
            ${navigation(here, session)}
          </div>
        </header>
        <main id="main" class="wrap">${session?.notices.map(notice)} ${main}</main>
        ${footer(house, session)}
      </body>
    </html> `;
  return page.toString();
}

const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#a63d2b" d="M8 3h16l4 5v21H4V8z"/>' +
    '<circle cx="16" cy="10" r="3" fill="#fff"/><path d="M10 18h12M10 23h12" stroke="#fff" stroke-width="2"/></svg>',
)}`;

function navigation(here: Page["here"], session: SessionView | undefined): Html {
  const link = (name: Page["here"], path: string, text: string | Html): Html =>
    html`<li><a href="${path}" ${here === name && html`aria-current="page"`}>${text}</a></li>`;
  const pieces = session?.pieces ?? 0;
  const cart = html`Cart${pieces > 0 && html` <span class="count">${pieces}<span class="unseen"> in it</span></span>`}`;
  const account =
    session?.subject === undefined
      ? link("account", "/login", "Sign in")
      : link("account", "/account", session.subject);
  return html`<nav aria-label="Shop">
    <ul>
      ${link("catalogue", "/", "Shop")} ${link("cart", "/cart", cart)} ${session === undefined ? undefined : account}
    </ul>
  </nav>`;
}

function notice(text: string): Html {
  return html`<p class="notice" role="status">${text}</p>`;
}

/** The coat check's own view of the visitor. Nothing in it is secret: the id is worth nothing without the cookie. */
function footer({ server, store }: House, session: SessionView | undefined): Html {
  return html`<footer class="wrap">
    <section class="stub" aria-label="Your session">
      <h2>Your ticket</h2>
      <dl>
        <div class="wide">
          <dt>Session</dt>
          <dd>${session === undefined ? "not looked at" : (session.ticket?.id ?? "no session yet")}</dd>
        </div>
        ${session?.ticket && clocks(session.ticket)}
        <div>
          <dt>Answered by</dt>
          <dd>${server}</dd>
        </div>
      </dl>
    </section>
    <p class="small">
      An example of <strong>coatcheck</strong>: several processes share ${store}. Nothing is sold here.
    </p>
  </footer>`;
}

function clocks({ createdAt, lastSeenAt, authenticatedAt, expiresAt }: Ticket): Html {
  const clock = (name: string, time: Html): Html =>
    html`<div>
      <dt>${name}</dt>
      <dd>${time}</dd>
    </div>`;
  return html`${clock("Created", since(createdAt))}
  ${authenticatedAt !== undefined && clock("Signed in", since(authenticatedAt))}
  ${clock("Last used", since(lastSeenAt))} ${clock("Ends if idle", until(expiresAt))}`;
}

export function heading(title: string, lead?: string | Html): Html {
  return html`<div class="heading">
    <h1>${title}</h1>
    ${lead !== undefined && html`<p class="lead">${lead}</p>`}
  </div>`;
}
