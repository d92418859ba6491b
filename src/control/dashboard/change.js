// Changes, each in two steps: what it would move, then the button that does it. A preview is good for what
// was typed and for the ring it was made from; anything else takes the button away again.

import { ask, change } from "./ask.js";
import { NOTHING, make, percent, span, tint } from "./words.js";

const form = document.getElementById("change-form");
const apply = document.getElementById("apply");
const preview = document.getElementById("preview");
const said = document.getElementById("change-said");
const plan = document.getElementById("plan");
const own = document.getElementById("own-spec");

const value = (id) => document.getElementById(id).value.trim();
const names = () => value("names").split(/[\s,]+/).filter(Boolean);
const many = (n) => `${n} replica${n === 1 ? "" : "s"}`;

/** What is typed: how to ask for its plan, how to do it, and what the button says. */
function typed() {
  const kind = new FormData(form).get("kind");
  const n = Number(value("n"));
  const query = new URLSearchParams();
  if (kind === "add" || kind === "rm") {
    query.set(kind, String(n));
    if (names().length) query.set("names", names().join(","));
    const fields = { n, hostnames: names() };
    return kind === "add"
      ? { query, act: ["POST", "/add", fields], says: `Add ${many(n)}`, lists: true }
      : { query, act: ["DELETE", "/rm", fields], says: `Remove ${names().join(", ") || many(n)}`, lists: true, drops: true };
  }
  if (kind === "ring") {
    const spec = value("spec") || value("own-spec");
    query.set("ring", spec);
    return { query, act: ["POST", "/ring", { ring: spec }], says: `Switch to ${spec.split(":")[0]}` };
  }
  const bound = Number(value("bound"));
  query.set("bound", String(bound));
  return { query, act: ["POST", "/bound", { bound }], says: bound ? `Set the bound to ${bound}` : "Take the bound away" };
}

/** A query in which `+` stays what it is and blanks are percent signs. */
const coded = (query) => [...query].map(([name, text]) => `${name}=${encodeURIComponent(text)}`).join("&");

let ready = null;
let doing = false;

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

function show(answer) {
  const { before, after, seats, moved } = answer;
  const row = (what, was, is) => [make("dt", {}, what), make("dd", {}, was === is ? String(is) : `${was} → ${is}`)];
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

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (doing) return;
  stale();
  const wanted = typed();
  try {
    show(await ask(`/plan?${coded(wanted.query)}`));
    ready = wanted;
    apply.textContent = wanted.says;
    apply.disabled = false;
    apply.classList.toggle("drops", Boolean(wanted.drops));
    say("", wanted.drops && !wanted.act[2].hostnames.length
      ? "Assumed: the highest seats go; which ones are drawn when it is done."
      : "Nothing has changed yet.");
  } catch (err) {
    say("bad", err.message);
  }
});

apply.addEventListener("click", async () => {
  if (!ready || doing) return;
  const { act, says, lists } = ready;
  doing = true;
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
  doing = false;
  preview.disabled = false;
  stale();
  say(state, text);
});

function choose() {
  const kind = new FormData(form).get("kind");
  for (const group of form.querySelectorAll(".fields")) {
    group.hidden = !group.dataset.for.split(" ").includes(kind);
    for (const input of group.querySelectorAll("input, select")) input.disabled = group.hidden;
  }
  own.closest("label").hidden = value("spec") !== "";
}

form.addEventListener("input", () => {
  choose();
  stale();
});
choose();

/** Fills in the removal of one replica and previews it. */
export function proposeRemoval(name) {
  if (doing) return;
  form.elements.kind.value = "rm";
  choose();
  document.getElementById("n").value = "1";
  document.getElementById("names").value = name;
  form.requestSubmit();
  preview.focus();
  form.closest("section").scrollIntoView({ block: "nearest" });
}
