// The table of replicas: a row for each seat of the ring, and one for each replica without a seat. The
// element of a row stays as long as its seat, so that focus and selection stay.

import { highlight } from "./ring.js";
import { NOTHING, count, make, ms, percent, rate, setText, shortAddress, span, tint } from "./format.js";

const body = document.getElementById("rows");
const none = document.getElementById("no-rows");
const rows = new Map();

const CELLS = ["seat", "name", "state", "up", "rps", "p50", "p99", "flight", "home", "share", "beat", "act"];
const LABELS = ["Seat", "Replica", "State", "Up for", "Req/s", "p50 ms", "p99 ms", "In flight", "At home", "Keys / requests", "Heartbeat", ""];
const NUMBERS = new Set(["rps", "p50", "p99", "flight", "home", "beat"]);

/** The buttons of a row. Those with three dots open a preview first. */
const ORDERS = { replace: "Replace …", drain: "Drain", ready: "Ready", remove: "Remove …" };

/** Handler of the buttons: the order and the name of the replica. */
let order = () => {};
export const onOrder = (act) => (order = act);

let locked = false;

/** Locks the buttons while a change is under way. They are not disabled, since that would lose the focus. */
export function lockOrders(busy) {
  locked = busy;
  for (const button of body.querySelectorAll("button")) button.setAttribute("aria-disabled", locked);
}

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
  cells.name.append(make("span", { class: "name" }), make("span", { class: "address" }), make("span", { class: "address version" }));
  cells.state.append(make("span", { class: "badge" }));
  const bar = (kind) => make("span", { class: `bar ${kind}`, "aria-hidden": "true" }, make("i"));
  cells.share.append(bar("keys"), make("span", { class: "keys-text" }), bar("got"), make("span", { class: "got-text" }));
  cells.up.append(make("span", { class: "time" }), make("span", { class: "address engine" }));
  // Drain and ready share a button, so that the focus stays on it.
  const buttons = ["replace", "drain", "remove"].map((what) =>
    make("button", { type: "button", class: "small", onclick: ({ target }) => order(target.dataset.order, row.dataset.name) }, ORDERS[what]));
  cells.act.append(make("span", { class: "orders" }, ...buttons));
  if (seat != null) {
    tint(row, seat);
    row.addEventListener("pointerenter", () => highlight(seat));
    row.addEventListener("pointerleave", () => highlight(null));
    row.addEventListener("focusin", () => highlight(seat));
    row.addEventListener("focusout", () => highlight(null));
  }
  return { row, cells, buttons };
}

function fill({ row, cells, buttons }, view) {
  row.dataset.name = view.name ?? "";
  setText(cells.seat.querySelector(".number"), view.seat == null ? NOTHING : String(view.seat));
  setText(cells.name.querySelector(".name"), view.name ?? NOTHING);
  const hint = [shortAddress(view.address), view.reason].filter(Boolean).join(": ");
  setText(cells.name.querySelector(".address"), hint);
  cells.name.title = view.address ?? "";
  setText(cells.name.querySelector(".version"), view.version ?? "");
  const badge = cells.state.querySelector(".badge");
  setText(badge, view.state);
  badge.dataset.state = view.state;
  cells.state.title = view.reason ?? "";
  setText(cells.up.querySelector(".time"), span(view.upFor));
  // The summary at the top names the engine.
  setText(cells.up.querySelector(".engine"), (view.engineId ?? "").replace("container:", ""));
  cells.up.title = view.engineId ?? "";
  setText(cells.rps, rate(view.rps));
  setText(cells.p50, ms(view.p50));
  setText(cells.p99, ms(view.p99));
  setText(cells.flight, count(view.flight));
  setText(cells.home, percent(view.home));
  setText(cells.beat, view.beat == null ? NOTHING : `${ms(view.beat)} ms`);
  cells.beat.title = view.missed ? `${view.missed} missed since the start` : "";
  setText(cells.share.querySelector(".keys-text"), percent(view.keys));
  setText(cells.share.querySelector(".got-text"), percent(view.got));
  // Bars are relative to the largest share, so that many small shares can be compared too.
  const scale = (part) => `${Math.min(100, (100 * (part ?? 0)) / view.largest)}%`;
  cells.share.querySelector(".keys i").style.inlineSize = scale(view.keys);
  cells.share.querySelector(".got i").style.inlineSize = scale(view.got);
  const may = (what) => view.orders.includes(what);
  ["replace", may("ready") ? "ready" : "drain", "remove"].forEach((what, index) => {
    const button = buttons[index];
    button.dataset.order = what;
    setText(button, ORDERS[what]);
    button.setAttribute("aria-label", ORDERS[what].replace(/^\w+/, `$& ${view.name}`));
    button.hidden = !may(what);
    button.setAttribute("aria-disabled", locked);
  });
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
