import { html, type Html } from "./html.ts";

const euros = new Intl.NumberFormat("en-IE", { style: "currency", currency: "EUR" });

export function money(cents: number): string {
  return euros.format(cents / 100);
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** "3 min ago", with the exact time to hover over. */
export function since(time: number, now: number = Date.now()): Html {
  const text = now - time < 60_000 ? "just now" : `${duration(now - time)} ago`;
  return stamped(time, text);
}

/** "in 29 min", with the exact time to hover over. */
export function until(time: number, now: number = Date.now()): Html {
  return stamped(time, `in ${duration(time - now)}`);
}

function stamped(time: number, text: string): Html {
  const iso = new Date(time).toISOString();
  return html`<time datetime="${iso}" title="${iso}">${text}</time>`;
}

function duration(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
