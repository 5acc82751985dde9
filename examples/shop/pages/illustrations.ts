import { html, type Html } from "./html.ts";

/** One drawing an item, in the page's own colours. */
const shapes: ReadonlyMap<string, Html> = new Map([
  [
    "trench",
    html`<path class="fill" d="M37 17 24 27l-9 38 10 3 7-20v35h32V48l7 20 10-3-9-38-13-10-11 8z" />
      <path d="M37 17 24 27l-9 38 10 3 7-26v41h32V42l7 26 10-3-9-38-13-10" />
      <path d="M37 17l11 17 11-17-6-4H43zM48 34v49M32 55h32M44 52h8v6h-8z" />
      <path d="M42 42v.1M42 48v.1M54 42v.1M54 48v.1M42 65v.1M54 65v.1" />`,
  ],
  [
    "scarf",
    html`<path class="fill" d="M52 42l10 38H44l-4-34zM28 28c0-9 40-9 40 0 0 14-8 20-20 20s-20-6-20-20z" />
      <path d="M28 28c0-9 40-9 40 0 0 14-8 20-20 20s-20-6-20-20zM28 28c4 8 36 8 40 0" />
      <path d="M40 47l4 33h18L55 46M45 80v5M50 80v5M56 80v5M61 80v5M42.5 68h16M43.5 74h17M29 36c8 7 30 7 38 0" />`,
  ],
  [
    "hat",
    html`<path
        class="fill"
        d="M10 60c0-6 14-8 18-9 2-16 5-26 12-26 4 0 5 3 8 3s4-3 8-3c7 0 10 10 12 26 4 1 18 3 18 9 0 8-18 13-38 13S10 68 10 60z"
      />
      <path d="M28 51c2-16 5-26 12-26 4 0 5 3 8 3s4-3 8-3c7 0 10 10 12 26" />
      <path
        d="M28 51c-4 1-18 3-18 9 0 8 18 13 38 13s38-5 38-13c0-6-14-8-18-9M27 58c12 5 30 5 42 0M28 50c12 4 28 4 40 0"
      />
      <path d="M27 58l1-8M69 58l-1-8" />`,
  ],
  [
    "umbrella",
    html`<path
        class="fill"
        d="M13 52c0-20 16-35 35-35s35 15 35 35c-4-6-14-6-18 0-4-6-13-6-17 0-4-6-13-6-17 0-4-6-14-6-18 0z"
      />
      <path d="M13 52c0-20 16-35 35-35s35 15 35 35c-4-6-14-6-18 0-4-6-13-6-17 0-4-6-13-6-17 0-4-6-14-6-18 0z" />
      <path d="M48 17c-9 8-16 20-17 35M48 17c9 8 16 20 17 35M48 17v-5M48 52v25c0 9-13 9-13 0v-2" />`,
  ],
  [
    "mittens",
    html`<path class="fill" d="M40 82V64C32 60 24 52 22 44c-1-6 6-8 10-3l6 8V32c0-20 34-20 34 0v32l-3 18z" />
      <path d="M40 66C32 61 24 52 22 44c-1-6 6-8 10-3l6 8V32c0-20 34-20 34 0v33" />
      <path
        d="M37 66h37v10H37zM39 76v7h33v-7M44 66v10M51 66v10M58 66v10M66 66v10M46 40l4-4 4 4 4-4 4 4 4-4M46 47l4-4 4 4 4-4 4 4 4-4"
      />`,
  ],
  [
    "boots",
    html`<path class="fill" d="M32 13h25v38c4 5 25 7 25 21v10H32z" />
      <path
        d="M32 13h25v38c4 5 25 7 25 21v5H32zM30 77h54v7H58l-3-3h-8l-3 3H30zM32 23h25M45 13v-3h-5v3M64 57c-4 2-6 6-6 10M57 51c-5 0-8 1-10 4"
      />`,
  ],
  [
    "hanger",
    html`<path class="fill" d="M48 38 13 62c-6 5-3 13 4 12 14-3 48-3 62 0 7 1 10-7 4-12z" />
      <path d="M48 38 13 62c-6 5-3 13 4 12 14-3 48-3 62 0 7 1 10-7 4-12zM48 38v-6c0-5 8-5 8-12 0-9-15-9-15 0" />
      <path d="M48 47 27 62M48 47l21 15" />`,
  ],
  [
    "brush",
    html`<path
        class="fill"
        d="M10 42c0-6 5-9 12-9h36c6 0 8 4 14 4h12c6 0 6 10 0 10H72c-6 0-8 4-14 4H22c-7 0-12-3-12-9z"
      />
      <path d="M10 42c0-6 5-9 12-9h36c6 0 8 4 14 4h12c6 0 6 10 0 10H72c-6 0-8 4-14 4H22c-7 0-12-3-12-9zM82 42v.1" />
      <path d="M17 51v15M23 51v17M29 51v17M35 51v17M41 51v17M47 51v17M53 51v17M59 51v15" />`,
  ],
]);

/** The drawing of an item: decoration, hidden from readers of the page's text. */
export function illustration(sku: string): Html {
  return html`<svg class="drawing" viewBox="0 0 96 96" aria-hidden="true">${shapes.get(sku)}</svg>`;
}
