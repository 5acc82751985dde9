import { html } from "./html.ts";
import { heading, type Page } from "./layout.ts";

const titles: Readonly<Record<number, string>> = {
  400: "That does not fit",
  403: "Not from there",
  404: "Nothing on this peg",
  409: "Somebody was faster",
  413: "That is too much",
  500: "Something broke",
  503: "The cloakroom is closed for a moment",
};

/** Looks at no session: an error may well be that there is none to be had. */
export function errorPage(status: number, message: string): Page {
  const title = titles[status] ?? "That did not work";
  const main = html`<div class="narrow error">
    <p class="status" aria-hidden="true">${status}</p>
    ${heading(title, message)}
    <p><a class="button" href="/">Back to the shop</a></p>
  </div>`;
  return { title, main };
}
