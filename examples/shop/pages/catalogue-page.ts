import type { Item } from "../catalogue.ts";
import type { SessionView } from "../session-view.ts";
import { money } from "./format.ts";
import { html, type Html } from "./html.ts";
import { illustration } from "./illustrations.ts";
import { heading, type Page } from "./layout.ts";

export function cataloguePage(items: readonly Item[], session: SessionView): Page {
  const main = html`${heading("For going out, and for coming in again", "Eight good things, made to hang by the door.")}
    <ul class="goods">
      ${items.map(card)}
    </ul>`;
  return { title: "Shop", here: "catalogue", main, session };
}

function card({ sku, name, price, note }: Item): Html {
  return html`<li class="card">
    <div class="picture">${illustration(sku)}</div>
    <div class="words">
      <h2>${name}</h2>
      <p>${note}</p>
    </div>
    <form method="post" action="/cart">
      <strong class="price">${money(price)}</strong>
      <input type="hidden" name="item" value="${sku}" />
      <label class="unseen" for="quantity-${sku}">How many of ${name}</label>
      <input id="quantity-${sku}" class="quantity" name="quantity" type="number" min="1" max="99" value="1" required />
      <button aria-label="Add ${name} to the cart">Add</button>
    </form>
  </li>`;
}
