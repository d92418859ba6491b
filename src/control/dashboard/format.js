// Formats of numbers and times, colours of seats, and small helpers for elements. No requests are made here.

const whole = new Intl.NumberFormat("en");

export const NOTHING = "–";

/** A count: 12,345. */
export const count = (n) => (n == null ? NOTHING : whole.format(n));

/** A rate: 0.4, 12.3, 1,234. */
export function rate(n) {
  if (n == null) return NOTHING;
  return n < 100 ? n.toFixed(n === 0 ? 0 : 1) : whole.format(Math.round(n));
}

/** Milliseconds with as many digits as matter: 0.31, 4.2, 129. */
export function ms(n) {
  if (n == null) return NOTHING;
  return n < 1 ? n.toFixed(2) : n < 10 ? n.toFixed(1) : whole.format(Math.round(n));
}

/** A part of one in percent. */
export const percent = (part, digits = 1) =>
  part == null ? NOTHING : `${(part * 100).toFixed(digits)} %`;

/** An address that fits into its line: of a Unix socket the last name. */
export const shortAddress = (address) =>
  address?.startsWith("unix:") ? `unix:…/${address.split("/").pop()}` : address;

/** Bytes a second: 0 B, 12.3 kB, 4.0 MB. */
export function bytes(n) {
  if (n == null) return NOTHING;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (n >= 1000 && at < units.length - 1) [n, at] = [n / 1000, at + 1];
  return `${at === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[at]}`;
}

/** A duration in its two largest units: 3 s, 2 m 10 s, 5 h 3 m. */
export function span(seconds) {
  if (seconds == null) return NOTHING;
  const s = Math.max(0, Math.floor(seconds));
  const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const first = parts.findIndex(([size]) => s >= size);
  if (first < 0) return "0 s";
  const [size, unit] = parts[first];
  const [next, small] = parts[first + 1] ?? [0, ""];
  const rest = next ? Math.floor((s % size) / next) : 0;
  return `${Math.floor(s / size)} ${unit}${rest ? ` ${rest} ${small}` : ""}`;
}

/** The time of day of a Date: 14:03:12. */
export const clock = (date) => date.toLocaleTimeString("en-GB");

/** An element with properties (`class`, `data-…`, `on…` and the like) and children. */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value != null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Sets the text of an element if it differs, so that a selection in it stays. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Sets the colour of a seat on an element, as custom properties that the style sheet reads. Hues advance by
 * the golden angle, so that neighbouring seats differ; after nine seats the lightness changes too.
 */
export function tint(element, seat) {
  element.classList.add("tint");
  element.style.setProperty("--hue", String((255 + (seat - 1) * 137.508) % 360));
  element.style.setProperty("--dl", String([0, 0.06, -0.06][Math.floor((seat - 1) / 9) % 3]));
  return element;
}
