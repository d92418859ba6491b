// The picture of the ring: the outer band has every arc in the colour of its seat. Within are one circle for
// the shares of the keys and one for the shares of recent requests. No requests are made here.

import { percent, tint } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const BAND = [150, 186];
const SHARES = [132, 142];
const GOT = [116, 126];

const picture = document.getElementById("ring");
const description = document.getElementById("ring-description");
const note = document.getElementById("ring-note");
const layers = Object.fromEntries(["band", "shares", "got", "mark", "middle"].map((name) => [name, layer(name)]));
for (const [inner, outer] of [BAND, SHARES, GOT]) {
  const [r, width] = [(inner + outer) / 2, outer - inner];
  picture.prepend(shape("circle", { r, "stroke-width": width, class: "base" }, picture));
}
let circle = { points: [], has: true };
let marked = null;

function layer(name) {
  const group = document.createElementNS(SVG, "g");
  group.setAttribute("class", name);
  picture.append(group);
  return group;
}

function shape(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

/** A point on the circle of radius `r`, at a part of the whole turn, clockwise from the top. */
function at(turn, r) {
  const angle = (turn - 0.25) * 2 * Math.PI;
  return `${(r * Math.cos(angle)).toFixed(2)} ${(r * Math.sin(angle)).toFixed(2)}`;
}

/** The outline of a piece of a band. */
function piece(from, to, [inner, outer]) {
  // An arc of a whole turn would begin where it ends, and is not drawn.
  const end = Math.min(to, from + 0.99999);
  const large = end - from > 0.5 ? 1 : 0;
  return `M${at(from, outer)}A${outer} ${outer} 0 ${large} 1 ${at(end, outer)}` +
    `L${at(end, inner)}A${inner} ${inner} 0 ${large} 0 ${at(from, inner)}Z`;
}

/** Runs of equal entries: [seat, from, to]; `from` and `to` are parts of the turn. */
function runs(points) {
  const found = [];
  points.forEach((seat, index) => {
    const last = found[found.length - 1];
    if (last && last[0] === seat) last[2] = (index + 1) / points.length;
    else found.push([seat, index / points.length, (index + 1) / points.length]);
  });
  return found;
}

function paths(parent, pieces, band) {
  const outlines = new Map();
  for (const [seat, from, to] of pieces) {
    if (seat == null || to <= from) continue;
    outlines.set(seat, (outlines.get(seat) ?? "") + piece(from, to, band));
  }
  parent.replaceChildren();
  for (const [seat, d] of outlines) {
    const path = tint(shape("path", { d, "data-seat": seat }, parent), seat);
    shape("title", {}, path).textContent = `seat ${seat}`;
  }
}

/** Draws the arcs. `ring` is the answer of /ring. */
export function drawRing(ring) {
  circle = { points: ring.points ?? [], has: ring.circle !== false };
  paths(layers.band, runs(circle.points), BAND);
  let from = 0;
  const shares = ring.seats.map(({ seat, share }) => [seat, from, (from += share)]);
  paths(layers.shares, shares, SHARES);
  const kind = ring.ring.split(":")[0];
  note.textContent = circle.has
    ? "Outside: the owner of each part of the circle. Within: share of the keys; innermost: share of the last seconds' requests."
    : `${kind} has no circle: the arcs are shares of the keys. Innermost: share of the last seconds' requests.`;
  mark(null);
}

/** Draws the share of each seat: [{seat, share, name}]. `idle` are the seats without new requests. */
export function drawLoad(seats, idle, ring, lines) {
  let from = 0;
  const got = seats.map(({ seat, share }) => [seat, from, (from += share ?? 0)]);
  paths(layers.got, got, GOT);
  for (const path of picture.querySelectorAll("path[data-seat]")) {
    path.classList.toggle("absent", idle.has(Number(path.dataset.seat)));
  }
  if (!marked) middle(lines);
  const sentences = seats.map(({ seat, name, share }) => {
    const keys = ring?.seats.find((other) => other.seat === seat)?.share;
    return `seat ${seat}, ${name ?? "empty"}: ${percent(keys)} of the keys, ${percent(share)} of the requests`;
  });
  description.textContent = sentences.length ? `The ring. ${sentences.join("; ")}.` : "The ring is empty.";
}

function middle(lines) {
  layers.middle.replaceChildren();
  const top = -((lines.length - 1) * 22) / 2;
  lines.forEach((line, index) => {
    const text = shape("text", { y: top + index * 22 + 6, class: index ? "small" : "large" }, layers.middle);
    text.textContent = line;
  });
}

/** Highlights a seat, or none. */
export function highlight(seat) {
  const wanted = seat ?? marked?.seat ?? null;
  picture.classList.toggle("some", wanted != null);
  for (const path of picture.querySelectorAll("path[data-seat]")) {
    path.classList.toggle("lit", Number(path.dataset.seat) === wanted);
  }
}

/** Marks a position on the circle and highlights the arc around it. `null` removes the mark. */
export function mark(place, seat, lines) {
  layers.mark.replaceChildren();
  marked = place === null ? null : { seat };
  if (marked && place !== undefined && circle.has) {
    const run = runs(circle.points).find(([, from, to]) => from <= place && place < to);
    if (run && run[0] === seat) {
      const arc = shape("path", { d: piece(run[1], run[2], [BAND[0] - 3, BAND[1] + 3]), class: "arc" }, layers.mark);
      tint(arc, seat);
    }
    shape("path", { d: `M${at(place, 74)}L${at(place, BAND[1])}`, class: "hand" }, layers.mark);
    const [cx, cy] = at(place, BAND[1] + 6).split(" ");
    tint(shape("circle", { cx, cy, r: 6, class: "pin" }, layers.mark), seat);
  }
  if (lines) middle(lines);
  highlight(null);
}
