import { html, type Html } from "../../../shop/pages/html.ts";
import type { Entry } from "../journal.ts";

/** What has happened, the newest first. */
export function eventLog(entries: readonly Entry[]): Html {
  return html`<section aria-labelledby="log-title">
    <h2 id="log-title">What has happened</h2>
    <ol class="panel log" id="log" role="log" aria-live="polite" aria-labelledby="log-title" tabindex="0">
      ${entries.toReversed().map(row)}
    </ol>
  </section>`;
}

function row({ id, at, text, tone }: Entry): Html {
  const when = new Date(at);
  return html`<li data-id="${id}" data-tone="${tone}">
    <time datetime="${when.toISOString()}">${when.toTimeString().slice(0, 8)}</time> <span>${text}</span>
  </li>`;
}
