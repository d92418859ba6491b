// Changes in two steps: a preview of what would move, then the button that applies it. A preview is valid
// for the typed change and the ring it was computed from; any difference discards it. One click is enough
// for an order that another click undoes and that leaves other replicas up.

import { get, send } from "./api.js";
import { countReplicas, fillOrder, fillRemoval, offerReplicas, readForm, replicaOrder, showFields } from "./change_form.js";
import { NOTHING, count, make, percent, span, tint } from "./format.js";

/** Deadline of a plan, which may take long to compute. */
const PLAN_DEADLINE_MS = 30000;

const form = document.getElementById("change-form");
const apply = document.getElementById("apply");
const preview = document.getElementById("preview");
const message = document.getElementById("change-message");
const plan = document.getElementById("plan");
/** Encodes a query. `+` stays itself, and blanks become %20. */
const encode = (query) => [...query].map(([name, text]) => `${name}=${encodeURIComponent(text)}`).join("&");

let ready = null;
let busy = false;

/** Called with true when a change begins, and with false when it ends. */
let lock = () => {};
export const onBusy = (handler) => (lock = handler);

/** Called after a change, to update the page. */
let refresh = async () => {};
export const onDone = (handler) => (refresh = handler);

/** Replicas that orders are possible for: [{name, state}]. */
let present = [];
const othersUp = (name) => present.filter((other) => other.state === "up" && other.name !== name).length;

/** Updates the replicas that orders are possible for. */
export function setReplicas(replicas) {
  present = replicas;
  offerReplicas(present.map(({ name }) => name));
  if (ready?.name && !ready.all && !present.some(({ name }) => name === ready.name)) {
    discardPreview(`${ready.name} is gone since.`);
  }
}

function show(state, text) {
  message.dataset.state = state;
  message.textContent = text;
}

/** Discards the preview. */
export function discardPreview(sentence) {
  if (!ready || busy) return;
  ready = null;
  apply.disabled = true;
  apply.textContent = "Apply";
  plan.hidden = true;
  show("", sentence ?? "");
}

function bar(part, largest, kind) {
  const inner = make("i");
  inner.style.inlineSize = `${Math.min(100, (100 * (part ?? 0)) / largest)}%`;
  return make("span", { class: `bar ${kind}`, "aria-hidden": "true" }, inner);
}

function cell(part, largest, kind) {
  return make("td", {}, bar(part, largest, kind), make("span", { class: "part" }, percent(part)));
}

const pair = (what, text) => [make("dt", {}, what), make("dd", {}, text)];

/** Shows the effect of an order about one replica, or about all replicas. */
async function previewOrder({ what, name, all, other }) {
  const [{ replicas }, ring] = await Promise.all([
    all ? get("/replicas") : get(`/replicas/${encodeURIComponent(name)}`).then((one) => ({ replicas: [one] })),
    get("/ring"),
  ]);
  const flight = replicas.reduce((sum, one) => sum + one.in_flight, 0);
  const facts = make("dl", { class: "summary" });
  const seats = new Set(replicas.map(({ seat }) => seat).filter((seat) => seat != null));
  facts.append(...pair(seats.size === 1 ? "Seat" : "Seats", seats.size === 1 ? String([...seats][0]) : `${seats.size}, one after the other`));
  if (replicas.length === 1) facts.append(...pair("Is now", [replicas[0].state, replicas[0].engine_id].filter(Boolean).join(", ")));
  if (what === "back") {
    facts.append(...pair("Versions", "those from before the last replacement by another version"));
    facts.append(make("dt", {}, "Moved"), make("dd", { class: "moved" }, "none of the keys"));
  } else if (what === "replace") {
    if (other) facts.append(...pair("Runs then", other), ...pair("If it fails", "the former versions come back"));
    facts.append(make("dt", {}, "Moved"), make("dd", { class: "moved" }, "none of the keys"));
    facts.append(...pair("In flight", `${count(flight)}, finished before ${replicas.length === 1 ? "it goes" : "they go"}`));
  } else if (what === "drain") {
    const share = ring.seats.find(({ seat }) => seats.has(seat))?.share;
    facts.append(...pair("Served elsewhere", `${percent(share, 2)} of the keys, until it is ready again`));
    facts.append(...pair("Besides it", othersUp(name) ? `${othersUp(name)} up` : "no replica is up: requests will fail"));
    facts.append(...pair("In flight", `${count(flight)}, which it finishes`));
  }
  plan.replaceChildren(facts);
  plan.hidden = false;
}

function showPlan(answer) {
  const { before, after, seats, moved } = answer;
  const row = (what, was, is) => pair(what, was === is ? String(is) : `${was} → ${is}`);
  const ratio = (side) => side.max_over_mean?.toFixed(3) ?? NOTHING;
  const facts = make("dl", { class: "summary" },
    make("dt", {}, "Moved"), make("dd", { class: "moved" }, `${percent(moved, 2)} of the keys`),
    ...row("Seats", before.N, after.N),
    ...row("Ring", before.ring, after.ring),
    ...row("Largest to mean", ratio(before), ratio(after)),
    ...row("Bound", before.bound || "none", after.bound || "none"),
    ...row("At home", percent(before.home), percent(after.home)));
  const largest = Math.max(...seats.flatMap(({ before, after }) => [before ?? 0, after ?? 0]), 1e-9);
  const head = make("thead", {}, make("tr", {}, ...["Seat", "Replica", "Share before", "Share after"].map((text) => make("th", { scope: "col" }, text))));
  const rows = seats.map(({ seat, name, before, after }) => tint(make("tr", {},
    make("th", { scope: "row" }, make("span", { class: "swatch", "aria-hidden": "true" }), String(seat)),
    make("td", {}, name ?? (before == null ? "new" : NOTHING)),
    cell(before, largest, "got"), cell(after, largest, "keys")), seat));
  const table = make("table", { class: "shares" }, make("caption", { class: "unseen" }, "Shares of the keys"), head, make("tbody", {}, ...rows));
  plan.replaceChildren(facts, make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Shares of the keys" }, table));
  plan.hidden = false;
}

/** Returns the note below a preview. */
function note(wanted) {
  if (wanted.query) {
    const drawn = wanted.stops && !wanted.request[2].hostnames.length;
    return drawn ? "The preview assumes the highest seats. The balancer draws the seats at random when the change is applied." : "Nothing has changed yet.";
  }
  return wanted.what === "replace" && !wanted.other
    ? `Nothing has changed yet. ${wanted.all ? "Each" : "The old one"} stops when its successor answers; if that does not start, ${wanted.all ? "it stays, and so do the others" : "it stays"}.`
    : "Nothing has changed yet.";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy) return;
  discardPreview();
  const wanted = readForm();
  try {
    await (wanted.query ? get(`/plan?${encode(wanted.query)}`, PLAN_DEADLINE_MS).then(showPlan) : previewOrder(wanted));
    ready = wanted;
    apply.textContent = wanted.label;
    apply.disabled = false;
    apply.classList.toggle("stops", Boolean(wanted.stops));
    show("", note(wanted));
  } catch (err) {
    show("bad", err.message);
  }
});

async function run({ request, label, lists }) {
  busy = true;
  lock(true);
  apply.disabled = preview.disabled = true;
  const begun = Date.now();
  const tick = () => show("busy", `${label}: under way for ${span((Date.now() - begun) / 1000)} …`);
  tick();
  const ticking = setInterval(tick, 1000);
  let state = "good";
  let text = "";
  try {
    const answer = await send(...request);
    text = lists ? `Done: ${label}. Now ${countReplicas(answer.N)}.` : `Done: ${label}.`;
  } catch (err) {
    state = "bad";
    text = err instanceof TypeError ? "The balancer did not answer. The table shows whether the change was made." : err.message;
  }
  clearInterval(ticking);
  // The refresh comes before `busy` ends, so that this change does not discard the next preview.
  await refresh();
  busy = false;
  lock(false);
  preview.disabled = false;
  discardPreview();
  show(state, text);
  if (state === "bad") message.scrollIntoView({ block: "nearest" });
}

apply.addEventListener("click", () => {
  if (ready && !busy) run(ready);
});

form.addEventListener("input", () => {
  showFields();
  discardPreview();
});
showFields();

function propose() {
  form.requestSubmit();
  preview.focus();
  form.closest("section").scrollIntoView({ block: "nearest" });
}

/** Handles a button of the table: an order about a replica, or about all replicas. */
export function startOrder(what, name) {
  if (busy) return;
  if (what === "remove") fillRemoval(name);
  else if (what === "ready" || (what === "drain" && othersUp(name))) return void run(replicaOrder(what, name));
  else fillOrder(what, name);
  propose();
}
