/* oxlint-disable oxc/no-async-endpoint-handlers -- Express 5 awaits its handlers */
import { Router } from "express";
import { answer } from "./answer.ts";
import { catalogue, itemOf, linesOf, totalOf, type Item } from "./catalogue.ts";
import { cartPage } from "./pages/cart-page.ts";
import { cataloguePage } from "./pages/catalogue-page.ts";
import { field, Problem } from "./request.ts";
import { say, viewOf } from "./session-view.ts";
import type { ShopSessions } from "./sessions.ts";

const MOST = 99;

/** The catalogue and the cart. A guest gets a session with the first thing in the cart, and not before. */
export function cartRoutes(user: ShopSessions): Router {
  const router = Router();

  router.get("/", async (req, res) => {
    const session = await user.from(req);
    answer(req, res, {
      json: () => ({ items: catalogue.map(({ sku, name, price }) => ({ sku, name, price })) }),
      page: () => cataloguePage(catalogue, viewOf(session)),
    });
  });

  router.get("/cart", async (req, res) => {
    const session = await user.from(req);
    const lines = linesOf(session.data?.cart ?? {});
    answer(req, res, {
      json: () => ({
        items: lines.map(({ item, quantity }) => ({ sku: item.sku, quantity })),
        total: totalOf(lines),
      }),
      page: () => cartPage(lines, viewOf(session)),
    });
  });

  router.post("/cart", async (req, res) => {
    const { sku, name } = knownItem(field(req, "item"));
    const quantity = validQuantity(field(req, "quantity"));
    const session = await user.from(req);
    // Run again on newer data when another tab wrote first, so that both tabs' things are in the cart.
    session.update((data) => ({
      visits: data?.visits ?? 0,
      cart: { ...data?.cart, [sku]: (data?.cart[sku] ?? 0) + quantity },
    }));
    say(session, `${name}: ${quantity} put into the cart.`);
    res.redirect(303, "/cart");
  });

  router.post("/cart/remove", async (req, res) => {
    const { sku, name } = knownItem(field(req, "item"));
    const session = await user.from(req);
    if (session.data?.cart[sku] !== undefined) {
      session.update((data) => {
        const { [sku]: _removed, ...cart } = data?.cart ?? {};
        return { visits: data?.visits ?? 0, cart };
      });
      say(session, `${name}: taken out of the cart.`);
    }
    res.redirect(303, "/cart");
  });

  return router;
}

function knownItem(sku: string | undefined): Item {
  const item = sku === undefined ? undefined : itemOf(sku);
  if (item !== undefined) return item;
  throw new Problem(
    400,
    "unknown_item",
    sku === undefined ? "Which item? Name one of the catalogue." : `The shop has no item "${sku}".`,
  );
}

function validQuantity(text: string | undefined): number {
  const quantity = text !== undefined && /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (quantity >= 1 && quantity <= MOST) return quantity;
  throw new Problem(400, "bad_quantity", `The quantity has to be a whole number from 1 to ${MOST}.`);
}
