import { html, type Html } from "../../../shop/pages/html.ts";
import type { ServerAction } from "../fleet-server.ts";
import type { Tally } from "../tally.ts";
import type { AssetPaths } from "./assets.ts";
import { eventLog } from "./event-log.ts";
import type { RoomView, ServerView } from "./room-view.ts";

/** The control room. Without scripts it shows what was so when it was asked for, and its buttons work. */
export function roomPage(view: RoomView, { styles, script }: AssetPaths): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Control room · The Cloakroom</title>
        <link rel="icon" href="data:," />
        ${styles.map((href) => html`<link rel="stylesheet" href="${href}" />`)}
        <script type="module" src="${script}"></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <div class="wrap">
            <a class="brand" href="/"><span class="peg" aria-hidden="true">N° 7</span> Control room</a>
            <p class="small" id="live">${view.words}</p>
          </div>
        </header>
        <main id="main" class="wrap">
          ${verdict(view.tally)}
          <section aria-labelledby="servers-title">
            <h2 id="servers-title">The servers</h2>
            <ul class="servers">
              ${view.servers.map(serverCard)}
            </ul>
          </section>
          ${charts(view.servers)}
          <div class="halves">${eventLog(view.entries)} ${shopFrame(view.shopUrl)}</div>
        </main>
      </body>
    </html> `;
  return page.toString();
}

function verdict(tally: Readonly<Tally>): Html {
  return html`<section class="verdict" aria-labelledby="verdict-title">
    <div class="heading">
      <h1 id="verdict-title">Kill a server. Nobody is signed out.</h1>
      <p class="lead">
        Every request may meet another server. Send visitors who know what must be in their cart, then do your worst.
      </p>
      <form class="actions" method="post" action="/visitors">
        <button id="send">Send 20 visitors</button>
        <p class="small">
          <span id="here">${tally.here}</span> in the shop, <span data-tally="left">${tally.left}</span> have left
        </p>
      </form>
    </div>
    <dl class="proof">
      ${proof("Visitors signed out by accident", "signedOut", tally)} ${proof("Updates lost", "lost", tally)}
    </dl>
    <dl class="stub">
      ${small("Applied twice", "doubled", tally)} ${small("Undone sign-outs", "undead", tally)}
      ${small("Longest after sign-out", "longestAfterSignOut", tally, " ms")} ${small("Read late", "stale", tally)}
      ${small("Errors seen", "errors", tally)} ${small("Changes in doubt", "inDoubt", tally)}
      ${small("Gave up", "gaveUp", tally)}
    </dl>
    ${whatIsCounted()}
  </section>`;
}

function proof(words: string, name: keyof Tally, tally: Readonly<Tally>): Html {
  return html`<div class="panel" ${tally[name] > 0 && html`data-bad`}>
    <dt>${words}</dt>
    <dd><span data-tally="${name}">${tally[name]}</span></dd>
  </div>`;
}

function small(words: string, name: keyof Tally, tally: Readonly<Tally>, unit: string = ""): Html {
  return html`<div>
    <dt>${words}</dt>
    <dd><span data-tally="${name}">${Math.ceil(tally[name])}${unit}</span></dd>
  </div>`;
}

function whatIsCounted(): Html {
  return html`<details class="small">
    <summary>What is counted, and how</summary>
    <p>
      Each visitor signs in, puts things into the cart, sometimes in two tabs at once, and looks again and again whether
      it is still signed in and whether everything is there that was confirmed. A piece that is missing for 15 seconds
      is lost; one that is back sooner was read late. In the end it signs out and tries its old cookie.
    </p>
    <p>
      A server that is killed or paused takes requests along. One that only reads is asked again by the proxy. One that
      changes something is not, for it may have been done: the visitor sees an error, and that change is in doubt, made
      or not.
    </p>
  </details>`;
}

const ACTIONS: readonly { readonly action: ServerAction; readonly words: string; readonly says: string }[] = [
  { action: "kill", words: "Kill", says: "SIGKILL, in the middle of whatever it does" },
  { action: "pause", words: "Pause", says: "SIGSTOP: it accepts connections and answers nothing" },
  { action: "drain", words: "Drain", says: "It finishes what it has and gets nothing new" },
  { action: "revive", words: "Revive", says: "Starts it again, or lets it go on" },
];

function serverCard({ name, port, state, actions, ...pace }: ServerView): Html {
  return html`<li class="panel server" data-server="${name}" data-state="${state}">
    <div class="plate">
      <h3><span class="swatch" aria-hidden="true"></span>Server ${name}</h3>
      <p class="tag" data-of="state">${state}</p>
    </div>
    <dl>
      ${reading("Requests/s", "rate", pace.requestsPerSecond.toFixed(1))}
      ${reading("Hit rate", "hits", pace.hitRate === undefined ? "–" : `${Math.round(pace.hitRate * 100)} %`)}
      ${reading("Oldest copy", "oldest", pace.oldest === undefined ? "–" : `${Math.round(pace.oldest)} ms`)}
    </dl>
    <div class="controls">
      ${ACTIONS.map(
        ({ action, words, says }) =>
          html`<form method="post" action="/servers/${name}/${action}">
            <button
              class="quiet"
              data-action="${action}"
              aria-label="${words} server ${name}"
              title="${says}"
              ${!actions.includes(action) && html`disabled`}
            >
              ${words}
            </button>
          </form>`,
      )}
    </div>
    <p class="small port">port ${port}</p>
  </li>`;
}

function reading(words: string, name: string, value: string): Html {
  return html`<div>
    <dt>${words}</dt>
    <dd data-of="${name}">${value}</dd>
  </div>`;
}

function charts(servers: readonly ServerView[]): Html {
  return html`<section class="panel charts" aria-labelledby="charts-title">
    <h2 id="charts-title">The last minute</h2>
    <figure>
      <figcaption>
        <strong>Requests per second, by server</strong>
        <ul class="legend">
          ${servers.map(({ name }) => html`<li data-server="${name}"><span class="swatch"></span>${name}</li>`)}
        </ul>
      </figcaption>
      <svg id="requests" role="img" aria-label="Requests per second, by server"></svg>
    </figure>
    <figure>
      <figcaption>
        <strong>Age of the sessions that were read</strong>
        <ul class="legend">
          <li class="oldest"><span class="swatch"></span>oldest</li>
          <li class="median"><span class="swatch"></span>median</li>
        </ul>
      </figcaption>
      <svg id="ages" role="img" aria-label="Age of the sessions that were read"></svg>
    </figure>
  </section>`;
}

function shopFrame(shopUrl: string): Html {
  return html`<section aria-labelledby="shop-title">
    <div class="beside">
      <h2 id="shop-title">The shop</h2>
      <a href="${shopUrl}" target="_blank" rel="noopener">Open it in a tab</a>
    </div>
    <p class="small">Sign in as <code>ada</code> / <code>lovelace</code>. The foot of each page says who answered.</p>
    <iframe class="panel" src="${shopUrl}" title="The shop, through the proxy"></iframe>
  </section>`;
}
