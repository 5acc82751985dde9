/** What the shop sells. */
export interface Item {
  readonly sku: string;
  readonly name: string;
  /** In cents of a euro, so that sums are exact. */
  readonly price: number;
  readonly note: string;
}

export const catalogue: readonly Item[] = [
  { sku: "trench", name: "Trench coat", price: 24900, note: "Cotton gabardine, storm flap, horn buttons." },
  { sku: "scarf", name: "Lambswool scarf", price: 5900, note: "Two metres, woven in one piece." },
  { sku: "hat", name: "Felt hat", price: 8900, note: "Hare felt with a ribbon. Rolls up, springs back." },
  { sku: "umbrella", name: "Stick umbrella", price: 7450, note: "Beech handle, eight ribs, outlives a gale." },
  { sku: "mittens", name: "Knitted mittens", price: 3200, note: "Lined with fleece, joined by a cord." },
  { sku: "boots", name: "Rubber boots", price: 6990, note: "Natural rubber, pressed by hand." },
  { sku: "hanger", name: "Cedar hanger", price: 1450, note: "Shaped like shoulders. Moths dislike it." },
  { sku: "brush", name: "Clothes brush", price: 1895, note: "Pear wood and boar bristle." },
];

const bySku: ReadonlyMap<string, Item> = new Map(catalogue.map((item) => [item.sku, item]));

export function itemOf(sku: string): Item | undefined {
  return bySku.get(sku);
}

/** One line of a cart, with the item it is about. */
export interface CartLine {
  readonly item: Item;
  readonly quantity: number;
}

/** The lines of a cart as it is kept: quantities by sku. What is no longer sold is left out. */
export function linesOf(cart: Readonly<Record<string, number>>): CartLine[] {
  return Object.entries(cart).flatMap(([sku, quantity]) => {
    const item = itemOf(sku);
    return item === undefined ? [] : [{ item, quantity }];
  });
}

/** In cents. */
export function totalOf(lines: readonly CartLine[]): number {
  return lines.reduce((sum, { item, quantity }) => sum + item.price * quantity, 0);
}
