// The form of changes: the typed change with its preview query, its request and the label of its button.
// No requests are made here.

import { make } from "./format.js";

const form = document.getElementById("change-form");
const order = document.getElementById("order");
const which = document.getElementById("which");
const allOption = which.options[0];
const own = document.getElementById("own-spec");

/** The choice that stands for all replicas. */
const ALL = "all";

const value = (id) => document.getElementById(id).value.trim();
const names = () => value("names").split(/[\s,]+/).filter(Boolean);
export const countReplicas = (n) => `${n} replica${n === 1 ? "" : "s"}`;

/** An order about one replica, or about all replicas one after the other. */
export function replicaOrder(what, name) {
  const label = `${{ replace: "Replace", drain: "Drain", ready: "Ready" }[what]} ${name}`;
  const request = ["POST", `/replicas/${encodeURIComponent(name)}/${what}`, {}];
  return { what, name, all: what === "replace" && name === ALL, request, label, stops: what !== "ready" };
}

/**
 * Returns the typed change: its `request` and its `label`. `lists` is set if the answer is a list of
 * replicas, `stops` if replicas get no more requests. `query` is the query of /plan; an order about a
 * replica has `what` and `name` instead.
 */
export function readForm() {
  const kind = new FormData(form).get("kind");
  const n = Number(value("n"));
  const query = new URLSearchParams();
  if (kind === "one") return replicaOrder(value("order"), value("which"));
  if (kind === "add" || kind === "rm") {
    query.set(kind, String(n));
    if (names().length) query.set("names", names().join(","));
    const fields = { n, hostnames: names() };
    return kind === "add"
      ? { query, request: ["POST", "/add", fields], label: `Add ${countReplicas(n)}`, lists: true }
      : { query, request: ["DELETE", "/rm", fields], label: `Remove ${names().join(", ") || countReplicas(n)}`, lists: true, stops: true };
  }
  if (kind === "ring") {
    const spec = value("spec") || value("own-spec");
    query.set("ring", spec);
    return { query, request: ["POST", "/ring", { ring: spec }], label: `Switch to ${spec.split(":")[0]}` };
  }
  const bound = Number(value("bound"));
  query.set("bound", String(bound));
  return { query, request: ["POST", "/bound", { bound }], label: bound ? `Set the bound to ${bound}` : "Remove the bound" };
}

/** Shows the fields of the chosen kind, and disables those of the other kinds. */
export function showFields() {
  const kind = new FormData(form).get("kind");
  for (const group of form.querySelectorAll(".fields")) {
    group.hidden = !group.dataset.for.split(" ").includes(kind);
    for (const input of group.querySelectorAll("input, select")) input.disabled = group.hidden;
  }
  own.closest("label").hidden = value("spec") !== "";
  // Only replacing is possible for all replicas.
  allOption.disabled = allOption.hidden = order.value !== "replace";
  if (allOption.disabled && allOption.selected) which.selectedIndex = which.length > 1 ? 0 : -1;
}

/** Fills in the removal of a replica. */
export function fillRemoval(name) {
  form.elements.kind.value = "rm";
  document.getElementById("n").value = "1";
  document.getElementById("names").value = name;
  showFields();
}

/** Fills in an order. */
export function fillOrder(what, name) {
  form.elements.kind.value = "one";
  order.value = what;
  which.value = name;
  showFields();
}

/** Offers these replicas for orders. If the chosen replica is gone, no replica is chosen. */
export function offerReplicas(present) {
  const offered = [...which.options].filter((option) => option !== allOption).map((option) => option.value);
  if (offered.join() === present.join()) return;
  const chosen = offered.length ? which.value : present[0];
  which.replaceChildren(...present.map((name) => make("option", { value: name }, name)), allOption);
  which.value = chosen;
  showFields();
}
