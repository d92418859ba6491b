// Sparklines of the last two minutes, as the balancer keeps them: a page that was just opened, or was hidden,
// shows them too. A second that the balancer missed, or in which it did not answer, is a gap.

import { make, setText } from "./format.js";

const SECONDS = 120;
const [WIDTH, HEIGHT] = [240, 56];
const SVG = "http://www.w3.org/2000/svg";

/** One chart of one or two lines, in the figure of this id. */
export class Chart {
  constructor(id, title, lines, write) {
    this.lines = lines.map((name) => ({ name, values: Array(SECONDS).fill(null) }));
    this.write = write;
    this.title = title;
    this.now = make("span", { class: "now" });
    this.top = make("span", { class: "scale" });
    this.shown = this.lines.map((_, index) => make("span", { class: `l${index}` }));
    this.shown.forEach((shown, index) => this.now.append(...(lines[index] ? [make("small", {}, lines[index])] : []), shown));
    this.picture = document.createElementNS(SVG, "svg");
    this.picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.picture.setAttribute("preserveAspectRatio", "none");
    this.picture.setAttribute("role", "img");
    this.paths = this.lines.map((_, index) => {
      const both = ["area", "line"].map((kind) => {
        const path = document.createElementNS(SVG, "path");
        path.setAttribute("class", `${kind} l${index}`);
        this.picture.append(path);
        return path;
      });
      return both;
    });
    const caption = make("figcaption", {}, make("span", { class: "name" }, title), this.now);
    document.getElementById(id).append(caption, make("div", { class: "plot" }, this.picture, this.top, make("span", { class: "scale from" }, "2 min ago")));
  }

  /** Shows these values: a list for each line, the oldest first, null for a gap. */
  show(lists) {
    this.lines.forEach((line, index) => {
      const values = lists[index].slice(-SECONDS);
      line.values = [...Array(SECONDS - values.length).fill(null), ...values];
    });
    this.draw();
  }

  /** Adds a second without an answer. */
  miss() {
    this.show(this.lines.map(({ values }) => [...values, null]));
  }

  draw() {
    const all = this.lines.flatMap(({ values }) => values).filter((value) => value !== null);
    const top = nice(Math.max(0, ...all));
    this.lines.forEach(({ values }, index) => {
      const [area, line] = this.paths[index];
      const d = segments(values, top);
      line.setAttribute("d", d.map(({ points }) => `M${points.join("L")}`).join(""));
      area.setAttribute("d", index ? "" : d.map(({ points, from, to }) =>
        `M${from} ${HEIGHT}L${points.join("L")}L${to} ${HEIGHT}Z`).join(""));
    });
    const last = this.lines.map(({ name, values }) => {
      const value = this.write(values[SECONDS - 1]);
      return name ? `${name} ${value}` : value;
    });
    this.shown.forEach((shown, index) => setText(shown, this.write(this.lines[index].values[SECONDS - 1])));
    setText(this.top, all.some((value) => value > 0) ? this.write(top) : "");
    this.picture.setAttribute("aria-label", `${this.title}: now ${last.join(", ")}; scale to ${this.write(top)}`);
  }
}

/** The next of 1, 2, 5, 10, 20 … at or above `n`. */
function nice(n) {
  if (n <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].map((step) => step * size).find((step) => step >= n);
}

/** Segments of points without a gap. */
function segments(values, top) {
  const found = [];
  values.forEach((value, index) => {
    if (value === null) return;
    const x = (index * WIDTH) / (SECONDS - 1);
    const point = `${x.toFixed(1)} ${(HEIGHT - 2 - (value / top) * (HEIGHT - 6)).toFixed(1)}`;
    if (index > 0 && values[index - 1] !== null) {
      const last = found[found.length - 1];
      last.points.push(point);
      last.to = x.toFixed(1);
    } else {
      found.push({ points: [point], from: x.toFixed(1), to: x.toFixed(1) });
    }
  });
  return found;
}
