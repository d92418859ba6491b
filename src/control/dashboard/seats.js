// The table of replicas: a row for each seat of the ring, and one for each replica without a seat.
// Rows stay as long as their seat does, so that focus and selection do.

import { highlight } from "./ring.js";
import { NOTHING, count, make, ms, percent, rate, say, span, tint } from "./words.js";

const body = document.getElementById("rows");
const none = document.getElementById("no-rows");
const rows = new Map();

const CELLS = ["seat", "name", "state", "up", "rps", "p50", "p99", "flight", "home", "share", "beat", "act"];
const LABELS = ["Seat", "Replica", "State", "Up for", "Req/s", "p50 ms", "p99 ms", "In flight", "At home", "Keys / requests", "Heartbeat", ""];
const NUMBERS = new Set(["rps", "p50", "p99", "flight", "home", "beat"]);

/** What the button of a row does, with the name of its replica. */
let remove = () => {};
export const onRemove = (act) => (remove = act);

function build(key, seat) {
  const cells = {};
  const row = make("tr", { role: "row", "data-key": key });
  CELLS.forEach((name, index) => {
    const heads = name === "name";
    const cell = make(heads ? "th" : "td", {
      role: heads ? "rowheader" : "cell",
      scope: heads ? "row" : null,
      class: NUMBERS.has(name) ? "n" : name,
      "data-label": LABELS[index],
    });
    cells[name] = cell;
    row.append(cell);
  });
  cells.seat.append(make("span", { class: "swatch", "aria-hidden": "true" }), make("span", { class: "number" }));
  cells.name.append(make("span", { class: "name" }), make("span", { class: "address" }));
  cells.state.append(make("span", { class: "badge" }));
  const bar = (kind) => make("span", { class: `bar ${kind}`, "aria-hidden": "true" }, make("i"));
  cells.share.append(bar("keys"), make("span", { class: "keys-text" }), bar("got"), make("span", { class: "got-text" }));
  const button = make("button", { type: "button", class: "small", onclick: () => remove(row.dataset.name) }, "Remove …");
  cells.act.append(button);
  if (seat != null) {
    tint(row, seat);
    row.addEventListener("pointerenter", () => highlight(seat));
    row.addEventListener("pointerleave", () => highlight(null));
    row.addEventListener("focusin", () => highlight(seat));
    row.addEventListener("focusout", () => highlight(null));
  }
  return { row, cells, button };
}

function fill({ row, cells, button }, view) {
  row.dataset.name = view.name ?? "";
  say(cells.seat.querySelector(".number"), view.seat == null ? NOTHING : String(view.seat));
  say(cells.name.querySelector(".name"), view.name ?? NOTHING);
  say(cells.name.querySelector(".address"), view.address ?? "");
  const badge = cells.state.querySelector(".badge");
  say(badge, view.state);
  badge.dataset.state = view.state;
  cells.state.title = view.reason ?? "";
  say(cells.up, span(view.upFor));
  say(cells.rps, rate(view.rps));
  say(cells.p50, ms(view.p50));
  say(cells.p99, ms(view.p99));
  say(cells.flight, count(view.flight));
  say(cells.home, percent(view.home));
  say(cells.beat, view.beat == null ? NOTHING : `${ms(view.beat)} ms`);
  cells.beat.title = view.missed ? `${view.missed} missed since the start` : "";
  say(cells.share.querySelector(".keys-text"), percent(view.keys));
  say(cells.share.querySelector(".got-text"), percent(view.got));
  // Of the largest, so that many small shares can be told apart too.
  const scale = (part) => `${Math.min(100, (100 * (part ?? 0)) / view.largest)}%`;
  cells.share.querySelector(".keys i").style.inlineSize = scale(view.keys);
  cells.share.querySelector(".got i").style.inlineSize = scale(view.got);
  button.setAttribute("aria-label", `Remove ${view.name} …`);
  button.hidden = !view.removable;
}

/** Shows these replicas, in this order. */
export function showReplicas(views) {
  const keys = new Set(views.map(({ key }) => key));
  for (const [key, { row }] of rows) {
    if (!keys.has(key)) {
      row.remove();
      rows.delete(key);
    }
  }
  views.forEach((view, index) => {
    if (!rows.has(view.key)) rows.set(view.key, build(view.key, view.seat));
    const row = rows.get(view.key);
    if (body.children[index] !== row.row) body.insertBefore(row.row, body.children[index] ?? null);
    fill(row, view);
  });
  none.hidden = views.length > 0;
}
