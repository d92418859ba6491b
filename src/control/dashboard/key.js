// Where is this key? Asks the balancer, marks the place on the ring, and says who stands in.

import { ask } from "./ask.js";
import { mark } from "./ring.js";
import { percent } from "./words.js";

const form = document.getElementById("key-form");
const field = document.getElementById("key");
const clear = document.getElementById("key-clear");
const answer = document.getElementById("key-answer");

let asked = null;

const who = ({ seat, name, health }) => `${name ?? "nobody"} in seat ${seat}${health === "up" ? "" : ` (${health})`}`;

async function find(key) {
  const { place, seats, bound, home: stay } = await ask(`/where?key=${encodeURIComponent(key)}`);
  const [home, ...others] = seats;
  if (!home) {
    mark(null);
    answer.textContent = "The ring is empty.";
    return;
  }
  mark(place ?? undefined, home.seat, [shorten(key), `seat ${home.seat}`, home.name ?? ""]);
  const next = others.find(({ health }) => health === "up");
  const then = next ? ` If it is down: ${who(next)}.` : "";
  const cost = bound ? ` The bound ${bound} takes about ${percent(1 - stay)} of all requests away from their home.` : "";
  answer.textContent = `${shorten(key)} is at home with ${who(home)}.${then}${cost}`;
}

const shorten = (key) => (key.length > 14 ? `${key.slice(0, 13)}…` : key);

async function show(key) {
  try {
    await find(key);
    asked = key;
    clear.hidden = false;
    answer.dataset.state = "";
  } catch (err) {
    answer.dataset.state = "bad";
    answer.textContent = err.message;
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const key = field.value || field.placeholder;
  field.value = key;
  show(key);
});

clear.addEventListener("click", () => {
  asked = null;
  mark(null);
  field.value = answer.textContent = "";
  clear.hidden = true;
  field.focus();
});

/** Asks again after the ring has changed, or whoever sits there. */
export function lookAgain() {
  if (asked !== null) show(asked);
}
