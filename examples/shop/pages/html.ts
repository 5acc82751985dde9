declare const markup: unique symbol;

/** Text that is safe to put into a page: only {@link html} makes it. */
export interface Html {
  readonly [markup]: true;
  toString(): string;
}

/** What may stand in a template. Text is escaped; nothing comes of undefined and false. */
export type HtmlValue = string | number | Html | undefined | false | readonly HtmlValue[];

class Markup {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** A piece of a page. What is put in is escaped, unless it is a piece itself; attributes must be quoted. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  const text = strings.reduce((sum, part, index) => `${sum}${render(values[index - 1])}${part}`);
  return new Markup(text) as unknown as Html;
}

function render(value: HtmlValue): string {
  if (value === undefined || value === false) return "";
  if (value instanceof Markup) return value.toString();
  if (Array.isArray(value)) return value.map(render).join("");
  return String(value).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
