// The form of changes: the typed change with its preview query, its request and the label of its button.
// No requests are made here.

import { make, setText } from "./format.js";

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

/** The kind of version that the engine runs: the field of the request, and its label. */
let version = null;
const VERSIONS = { docker: ["image", "Another image"], process: ["command", "Another command"] };

/** Sets the engine, upon which the kind of version depends. */
export function setEngine(engine) {
  version = VERSIONS[engine] ?? null;
  if (version) setText(document.getElementById("version-label"), version[1]);
}

/** An order about one replica, or about all replicas one after the other; `other` is another version. */
export function replicaOrder(what, name, other = "") {
  const by = other ? ` by ${other}` : "";
  const label = `${{ replace: "Replace", drain: "Drain", ready: "Ready" }[what]} ${name}${by}`;
  const fields = other && version ? { [version[0]]: other } : {};
  const request = ["POST", `/replicas/${encodeURIComponent(name)}/${what}`, fields];
  return { what, name, other, all: what === "replace" && name === ALL, request, label, stops: what !== "ready" };
}

/** The return to the versions from before the last replacement. */
const backOrder = () =>
  ({ what: "back", all: true, request: ["POST", "/replace/back", {}], label: "Bring back", lists: true, stops: true });

/**
 * Returns the typed change: its `request` and its `label`. `lists` is set if the answer is a list of
 * replicas, `stops` if replicas get no more requests. `query` is the query of /plan; an order about a
 * replica has `what` and `name` instead.
 */
export function readForm() {
  const kind = new FormData(form).get("kind");
  const n = Number(value("n"));
  const query = new URLSearchParams();
  if (kind === "one" && value("order") === "back") return backOrder();
  if (kind === "one") return replicaOrder(value("order"), value("which"), value("order") === "replace" ? value("version") : "");
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
  which.closest("label").hidden = order.value === "back";
  document.getElementById("version").closest("label").hidden = order.value !== "replace" || !version;
  // Only replacing is possible for all replicas.
  allOption.disabled = allOption.hidden = !["replace", "back"].includes(order.value);
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
  document.getElementById("version").value = "";
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
