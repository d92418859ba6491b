// What is typed into the form of changes: how its plan is asked for, how it is done, and what the button
// says. It sends nothing itself.

import { make } from "./words.js";

const form = document.getElementById("change-form");
const order = document.getElementById("order");
const which = document.getElementById("which");
const everybody = which.options[0];
const own = document.getElementById("own-spec");

/** The choice that stands for everybody. */
const ALL = "all";

const value = (id) => document.getElementById(id).value.trim();
const names = () => value("names").split(/[\s,]+/).filter(Boolean);
export const many = (n) => `${n} replica${n === 1 ? "" : "s"}`;

/** An order about one replica, or about all of them one after the other. */
export function about(what, name) {
  const says = `${{ replace: "Replace", drain: "Drain", ready: "Ready" }[what]} ${name}`;
  const act = ["POST", `/replicas/${encodeURIComponent(name)}/${what}`, {}];
  return { what, name, everybody: what === "replace" && name === ALL, act, says, drops: what !== "ready" };
}

/**
 * A change: `act` does it, `says` names it, `lists` is set when its answer is a list of replicas, `drops`
 * when somebody goes. `query` asks /plan about it; an order about a replica has `what` and `name` instead.
 */
export function typed() {
  const kind = new FormData(form).get("kind");
  const n = Number(value("n"));
  const query = new URLSearchParams();
  if (kind === "one") return about(value("order"), value("which"));
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

/** Shows the fields of the kind that is chosen, and takes those of the others out of the form. */
export function choose() {
  const kind = new FormData(form).get("kind");
  for (const group of form.querySelectorAll(".fields")) {
    group.hidden = !group.dataset.for.split(" ").includes(kind);
    for (const input of group.querySelectorAll("input, select")) input.disabled = group.hidden;
  }
  own.closest("label").hidden = value("spec") !== "";
  // Only replacing goes from one to the next.
  everybody.disabled = everybody.hidden = order.value !== "replace";
  if (everybody.disabled && everybody.selected) which.selectedIndex = which.length > 1 ? 0 : -1;
}

/** Fills in the removal of a replica. */
export function typeRemoval(name) {
  form.elements.kind.value = "rm";
  document.getElementById("n").value = "1";
  document.getElementById("names").value = name;
  choose();
}

/** Fills in an order. */
export function typeOrder(what, name) {
  form.elements.kind.value = "one";
  order.value = what;
  which.value = name;
  choose();
}

/** Offers these replicas for orders. One that was chosen and is gone leaves nothing chosen. */
export function offer(present) {
  const offered = [...which.options].filter((option) => option !== everybody).map((option) => option.value);
  if (offered.join() === present.join()) return;
  const chosen = offered.length ? which.value : present[0];
  which.replaceChildren(...present.map((name) => make("option", { value: name }, name)), everybody);
  which.value = chosen;
  choose();
}
