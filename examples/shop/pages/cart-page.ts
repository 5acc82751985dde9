import { totalOf, type CartLine } from "../catalogue.ts";
import type { SessionView } from "../session-view.ts";
import { money, plural } from "./format.ts";
import { html, type Html } from "./html.ts";
import { illustration } from "./illustrations.ts";
import { heading, type Page } from "./layout.ts";

export function cartPage(lines: readonly CartLine[], session: SessionView): Page {
  const main = lines.length === 0 ? empty() : full(lines, session);
  return { title: "Cart", here: "cart", main, session };
}

function empty(): Html {
  return html`${heading("Your cart is empty", "The pegs are all free.")}
    <p><a class="button" href="/">See what there is</a></p>`;
}

function full(lines: readonly CartLine[], session: SessionView): Html {
  return html`${heading("Your cart", `${plural(session.pieces, "piece")}, kept on the server.`)}
    <div class="panel">
      <table class="cart">
        <thead>
          <tr>
            <th scope="col">Item</th>
            <th scope="col" class="number">Quantity</th>
            <th scope="col" class="number">Sum</th>
            <th scope="col"><span class="unseen">Change</span></th>
          </tr>
        </thead>
        <tbody>
          ${lines.map(row)}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row" colspan="2">Total</th>
            <td class="number total">${money(totalOf(lines))}</td>
            <td></td>
          </tr>
        </tfoot>
      </table>
    </div>
    <p class="actions">${session.subject === undefined && signIn()} <a href="/">Back to the shop</a></p>`;
}

function row({ item, quantity }: CartLine): Html {
  return html`<tr>
    <th scope="row">
      <span class="item"
        >${illustration(item.sku)}<span>${item.name}<small>${money(item.price)} each</small></span></span
      >
    </th>
    <td class="number">${quantity}</td>
    <td class="number">${money(item.price * quantity)}</td>
    <td class="number">
      <form method="post" action="/cart/remove">
        <input type="hidden" name="item" value="${item.sku}" />
        <button class="quiet" aria-label="Remove ${item.name}">Remove</button>
      </form>
    </td>
  </tr>`;
}

function signIn(): Html {
  return html`<a class="button" href="/login">Sign in: the cart comes along</a>`;
}
