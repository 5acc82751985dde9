/* Keeps the control room up to date: what the feed tells is put where the server had put it first. */
import { drawAges, drawRequests, duration } from "./chart.js";

const MOST_ENTRIES = 100;
const KEPT_SECONDS = 60;

const requests = document.querySelector("#requests");
const ages = document.querySelector("#ages");
const log = document.querySelector("#log");
const live = document.querySelector("#live");
const words = live.textContent;
const names = [...document.querySelectorAll(".server")].map((card) => card.dataset.server);

let seconds = [];
const marks = [];
let newest = Math.max(0, ...[...log.children].map((row) => Number(row.dataset.id)));

const feed = new EventSource("/feed");
feed.addEventListener("open", () => showLive(true));
feed.addEventListener("error", () => showLive(false));
feed.addEventListener("seconds", ({ data }) => {
  // After a broken connection the whole minute comes again.
  const known = seconds.at(-1)?.at ?? 0;
  seconds = [...seconds, ...JSON.parse(data).filter(({ at }) => at > known)].slice(-KEPT_SECONDS);
  draw();
});
feed.addEventListener("figures", ({ data }) => showFigures(JSON.parse(data)));
feed.addEventListener("entries", ({ data }) => {
  const entries = JSON.parse(data);
  // Lines for what was done to a server, not for what the proxy made of it.
  marks.push(...entries.filter(({ server, id }) => server !== undefined && marks.every((mark) => mark.id !== id)));
  for (const entry of entries) showEntry(entry);
});
new ResizeObserver(draw).observe(requests);

// Without leaving the page; without scripts the same forms lead back to it.
document.addEventListener("submit", async (event) => {
  event.preventDefault();
  await fetch(event.target.action, { method: "POST", redirect: "manual" });
});

function draw() {
  drawRequests(requests, seconds, names, marks);
  drawAges(ages, seconds);
}

function showFigures({ servers, tally }) {
  for (const server of servers) showServer(server);
  for (const place of document.querySelectorAll("[data-tally]")) {
    const value = tally[place.dataset.tally];
    setText(place, place.dataset.tally === "longestAfterSignOut" ? duration(value) : String(value));
    place.closest(".proof > div")?.toggleAttribute("data-bad", value > 0);
  }
  setText(document.querySelector("#here"), String(tally.here));
}

function showServer({ name, state, actions, requestsPerSecond, hitRate, oldest }) {
  const card = document.querySelector(`.server[data-server="${name}"]`);
  const of = (what) => card.querySelector(`[data-of="${what}"]`);
  card.dataset.state = state;
  setText(of("state"), state);
  setText(of("rate"), requestsPerSecond.toFixed(1));
  setText(of("hits"), hitRate === undefined ? "–" : `${Math.round(hitRate * 100)} %`);
  setText(of("oldest"), oldest === undefined ? "–" : duration(oldest));
  for (const button of card.querySelectorAll("button")) button.disabled = !actions.includes(button.dataset.action);
}

function showEntry({ id, at, text, tone }) {
  if (id <= newest) return;
  newest = id;
  const row = document.createElement("li");
  row.dataset.id = id;
  row.dataset.tone = tone;
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = new Date(at).toTimeString().slice(0, 8);
  const said = document.createElement("span");
  said.textContent = text;
  row.append(time, " ", said);
  log.prepend(row);
  while (log.children.length > MOST_ENTRIES) log.lastElementChild.remove();
}

function showLive(isLive) {
  live.toggleAttribute("data-lost", !isLive);
  setText(live, isLive ? words : "The demo does not answer any more.");
}

/** Only what is new: a screen reader is told of changes. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
