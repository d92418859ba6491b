// The list of events, the newest first, from the stream of /events. A lost stream is resumed after the last
// event. Deaths and replacements are also announced to screen readers, once each.

import { follow } from "./api.js";
import { clock, make, ms, tint } from "./format.js";

const SHOWN = 200;
const RETRY_MS = 1000;
const SETTLED_MS = 1000;
const KNOWN = new Set(["before", "by", "detected_within_ms", "from", "kind", "name", "reason", "replaced_after_ms", "saved", "seat", "seq", "stage", "time", "to", "up", "wanted"]);
const ANNOUNCED = new Set(["down", "replaced", "moved", "failed", "held", "rollout"]);

const list = document.getElementById("events");
const announcer = document.getElementById("announcer");

/** One sentence: the reason and the durations. */
function details(event) {
  const parts = [];
  if (event.before) parts.push(`after ${event.before}`);
  if (event.stage) parts.push(`${event.to}: ${event.stage.replace("_", " ")}`);
  if (event.from != null) parts.push(`${event.from} → ${event.to}`);
  if (event.reason) parts.push(event.reason);
  if (event.detected_within_ms != null) parts.push(`detected within ${ms(event.detected_within_ms)} ms`);
  if (event.replaced_after_ms != null) parts.push(`${ms(event.replaced_after_ms)} ms after its death`);
  if (event.saved) parts.push(event.saved === 1 ? "1 request saved" : `${event.saved} requests saved`);
  if (event.by) parts.push(`by ${event.by}`);
  // Fields that a newer balancer may have.
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
    make("span", { class: "why" }, details(event)),
    make("span", { class: "count" }, `${event.up}/${event.wanted} up`));
  if (event.seat != null) tint(row, event.seat);
  return row;
}

/** Returns the part of an event id that names the run of the balancer. */
const run = (id) => id.split("-")[0];

/** Follows the events until the page is closed. */
export async function followEvents() {
  let last = "";
  for (;;) {
    const [begun, fresh] = [Date.now(), last === ""];
    const take = (id, text) => {
      const event = JSON.parse(text);
      // Another run of the balancer has another list.
      if (run(id) !== run(last)) list.replaceChildren();
      last = id;
      list.prepend(item(event));
      while (list.children.length > SHOWN) list.lastChild.remove();
      // Events that come at once are older than the page, and are not announced.
      const old = fresh && Date.now() - begun < SETTLED_MS;
      if (!old && ANNOUNCED.has(event.kind)) {
        announcer.textContent = `${event.name ?? ""} ${event.kind}: ${details(event)}; ${event.up} of ${event.wanted} up`;
      }
    };
    await follow("/events", last, take).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
