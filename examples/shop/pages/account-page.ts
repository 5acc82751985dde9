import type { SessionSummary } from "coatcheck";
import type { SessionView } from "../session-view.ts";
import { since, until } from "./format.ts";
import { html, type Html } from "./html.ts";
import { heading, type Page } from "./layout.ts";

/** What the account page shows. */
export interface Account {
  readonly subject: string;
  readonly sessionId: string;
  readonly visits: number;
  readonly devices: readonly SessionSummary[];
}

export function accountPage({ subject, sessionId, visits, devices }: Account, session: SessionView): Page {
  const newestFirst = devices.toSorted((a, b) => b.lastSeenAt - a.lastSeenAt);
  const main = html`${heading(`Hello, ${subject}`, `Visit number ${visits} to this page.`)}
    <section aria-labelledby="devices">
      <h2 id="devices">Where you are signed in</h2>
      <ul class="panel devices">
        ${newestFirst.map((device) => deviceRow(device, device.id === sessionId))}
      </ul>
    </section>
    <form class="actions" method="post" action="/logout">
      <button>Sign out</button>
      <a href="/cart">To the cart</a>
    </form>`;
  return { title: "Account", here: "account", main, session };
}

function deviceRow({ id, authenticatedAt, createdAt, lastSeenAt, expiresAt }: SessionSummary, current: boolean): Html {
  return html`<li>
    <div>
      <p><code>${id}</code> ${current && html`<strong class="tag">this one</strong>`}</p>
      <p class="small">
        Signed in ${since(authenticatedAt ?? createdAt)}, last used ${since(lastSeenAt)}, ends ${until(expiresAt)}
      </p>
    </div>
    ${!current && revoke(id)}
  </li>`;
}

function revoke(id: string): Html {
  return html`<form method="post" action="/account/revoke">
    <input type="hidden" name="id" value="${id}" />
    <button class="quiet" aria-label="Sign out session ${id}">Sign out there</button>
  </form>`;
}
