// What happened, the newest first, as it is told by the stream of /events; a lost stream is taken up where
// it was. Deaths and replacements are also said aloud, once each.

import { follow } from "./ask.js";
import { clock, make, ms, tint } from "./words.js";

const SHOWN = 200;
const AGAIN_MS = 1000;
const SETTLED_MS = 1000;
const KNOWN = new Set(["before", "by", "detected_within_ms", "from", "kind", "name", "reason", "replaced_after_ms", "saved", "seat", "seq", "time", "to", "up", "wanted"]);
const ALOUD = new Set(["down", "replaced", "failed", "held"]);

const list = document.getElementById("events");
const news = document.getElementById("news");

/** One sentence: the reason and how long it took. */
function account(event) {
  const parts = [];
  if (event.before) parts.push(`after ${event.before}`);
  if (event.from != null) parts.push(`${event.from} → ${event.to}`);
  if (event.reason) parts.push(event.reason);
  if (event.detected_within_ms != null) parts.push(`detected within ${ms(event.detected_within_ms)} ms`);
  if (event.replaced_after_ms != null) parts.push(`${ms(event.replaced_after_ms)} ms after its death`);
  if (event.saved) parts.push(event.saved === 1 ? "1 request saved" : `${event.saved} requests saved`);
  if (event.by) parts.push(`by ${event.by}`);
  // What else a balancer may tell, in its own words.
  for (const [name, value] of Object.entries(event)) {
    if (!KNOWN.has(name) && value != null && typeof value !== "object") parts.push(`${name.replaceAll("_", " ")} ${value}`);
  }
  return parts.join(", ");
}

function item(event) {
  const time = new Date(event.time);
  const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
  const row = make("li", { "data-kind": event.kind },
    make("time", { datetime: event.time, title: event.time }, clock(time)),
    make("span", { class: "badge", "data-state": event.kind }, event.kind),
    make("span", { class: "who" }, event.seat == null ? null : swatch, event.name ?? ""),
    make("span", { class: "why" }, account(event)),
    make("span", { class: "count" }, `${event.up}/${event.wanted} up`));
  if (event.seat != null) tint(row, event.seat);
  return row;
}

/** An id names the run of the balancer, then the event. */
const run = (id) => id.split("-")[0];

/** Follows the events for ever. */
export async function followEvents() {
  let last = "";
  for (;;) {
    const [begun, fresh] = [Date.now(), last === ""];
    const take = (id, text) => {
      const event = JSON.parse(text);
      // Another run begins anew.
      if (run(id) !== run(last)) list.replaceChildren();
      last = id;
      list.prepend(item(event));
      while (list.children.length > SHOWN) list.lastChild.remove();
      // What comes at once was before the page, and is no news.
      const old = fresh && Date.now() - begun < SETTLED_MS;
      if (!old && ALOUD.has(event.kind)) {
        news.textContent = `${event.name ?? ""} ${event.kind}: ${account(event)}; ${event.up} of ${event.wanted} up`;
      }
    };
    await follow("/events", last, take).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
