// Changes, each in two steps: what it would move, then the button that does it. A preview is good for what
// was typed and for the ring it was made from; anything else takes the button away again. Only what one
// click undoes, and nobody is left without, is done by one click.

import { ask, change } from "./ask.js";
import { about, choose, many, offer, typeOrder, typeRemoval, typed } from "./typed.js";
import { NOTHING, count, make, percent, span, tint } from "./words.js";

/** A plan may be much to compute, and somebody waits for this one only. */
const PLAN_DEADLINE_MS = 30000;

const form = document.getElementById("change-form");
const apply = document.getElementById("apply");
const preview = document.getElementById("preview");
const said = document.getElementById("change-said");
const plan = document.getElementById("plan");
/** A query in which `+` stays what it is and blanks are percent signs. */
const coded = (query) => [...query].map(([name, text]) => `${name}=${encodeURIComponent(text)}`).join("&");

let ready = null;
let doing = false;

/** What is told when a change begins, and when it is over. */
let lock = () => {};
export const onDoing = (act) => (lock = act);

/** Brings the page up to date. */
let refresh = async () => {};
export const onDone = (act) => (refresh = act);

/** Whom an order can be about: [{name, state}]. */
let present = [];
const othersUp = (name) => present.filter((other) => other.state === "up" && other.name !== name).length;

/** Takes note of who is there. */
export function know(replicas) {
  present = replicas;
  offer(present.map(({ name }) => name));
  if (ready?.name && !ready.everybody && !present.some(({ name }) => name === ready.name)) {
    stale(`${ready.name} is gone since.`);
  }
}

function say(state, text) {
  said.dataset.state = state;
  said.textContent = text;
}

/** Takes the preview away. */
export function stale(sentence) {
  if (!ready || doing) return;
  ready = null;
  apply.disabled = true;
  apply.textContent = "Apply";
  plan.hidden = true;
  say("", sentence ?? "");
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

/** What an order about one replica, or about all, will do: nothing moves for good, but somebody goes. */
async function foresee({ what, name, everybody }) {
  const [{ replicas }, ring] = await Promise.all([
    everybody ? ask("/replicas") : ask(`/replicas/${encodeURIComponent(name)}`).then((one) => ({ replicas: [one] })),
    ask("/ring"),
  ]);
  const flight = replicas.reduce((sum, one) => sum + one.in_flight, 0);
  const facts = make("dl", { class: "facts" });
  const seats = new Set(replicas.map(({ seat }) => seat).filter((seat) => seat != null));
  facts.append(...pair(seats.size === 1 ? "Seat" : "Seats", seats.size === 1 ? String([...seats][0]) : `${seats.size}, one after the other`));
  if (replicas.length === 1) facts.append(...pair("Is now", [replicas[0].state, replicas[0].engine_id].filter(Boolean).join(", ")));
  if (what === "replace") {
    facts.append(make("dt", {}, "Moved"), make("dd", { class: "moved" }, "none of the keys"));
    facts.append(...pair("In flight", `${count(flight)}, finished before ${replicas.length === 1 ? "it goes" : "they go"}`));
  } else if (what === "drain") {
    const share = ring.seats.find(({ seat }) => seats.has(seat))?.share;
    facts.append(...pair("Served elsewhere", `${percent(share, 2)} of the keys, until it is ready again`));
    facts.append(...pair("Besides it", othersUp(name) ? `${othersUp(name)} up` : "nobody is up: requests will fail"));
    facts.append(...pair("In flight", `${count(flight)}, which it finishes`));
  }
  plan.replaceChildren(facts);
  plan.hidden = false;
}

function show(answer) {
  const { before, after, seats, moved } = answer;
  const row = (what, was, is) => pair(what, was === is ? String(is) : `${was} → ${is}`);
  const ratio = (side) => side.max_over_mean?.toFixed(3) ?? NOTHING;
  const facts = make("dl", { class: "facts" },
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

/** What is said below a preview. */
function caution(wanted) {
  if (wanted.query) {
    const drawn = wanted.drops && !wanted.act[2].hostnames.length;
    return drawn ? "Assumed: the highest seats go; which ones are drawn when it is done." : "Nothing has changed yet.";
  }
  return wanted.what === "replace"
    ? `Nothing has changed yet. ${wanted.everybody ? "Each" : "The old one"} goes when its successor answers; if that does not start, ${wanted.everybody ? "it stays and the others too" : "it stays"}.`
    : "Nothing has changed yet.";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (doing) return;
  stale();
  const wanted = typed();
  try {
    await (wanted.query ? ask(`/plan?${coded(wanted.query)}`, PLAN_DEADLINE_MS).then(show) : foresee(wanted));
    ready = wanted;
    apply.textContent = wanted.says;
    apply.disabled = false;
    apply.classList.toggle("drops", Boolean(wanted.drops));
    say("", caution(wanted));
  } catch (err) {
    say("bad", err.message);
  }
});

async function carryOut({ act, says, lists }) {
  doing = true;
  lock(true);
  apply.disabled = preview.disabled = true;
  const begun = Date.now();
  const tick = () => say("busy", `${says}: under way for ${span((Date.now() - begun) / 1000)} …`);
  tick();
  const ticking = setInterval(tick, 1000);
  let state = "good";
  let text = "";
  try {
    const answer = await change(...act);
    text = lists ? `Done: ${says}. Now ${many(answer.N)}.` : `Done: ${says}.`;
  } catch (err) {
    state = "bad";
    text = err instanceof TypeError ? "The balancer did not answer; whether it was done shows above." : err.message;
  }
  clearInterval(ticking);
  // What we have changed ourselves must not take the next preview back.
  await refresh();
  doing = false;
  lock(false);
  preview.disabled = false;
  stale();
  say(state, text);
  if (state === "bad") said.scrollIntoView({ block: "nearest" });
}

apply.addEventListener("click", () => {
  if (ready && !doing) carryOut(ready);
});

form.addEventListener("input", () => {
  choose();
  stale();
});
choose();

function propose() {
  form.requestSubmit();
  preview.focus();
  form.closest("section").scrollIntoView({ block: "nearest" });
}

/** What a button of the table asks for, about a replica or all of them. */
export function asked(what, name) {
  if (doing) return;
  if (what === "remove") typeRemoval(name);
  else if (what === "ready" || (what === "drain" && othersUp(name))) return void carryOut(about(what, name));
  else typeOrder(what, name);
  propose();
}
