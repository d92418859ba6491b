// The search for a key: requests its seats, marks its position on the ring, and shows its home and fallback.

import { get } from "./api.js";
import { mark } from "./ring.js";
import { percent } from "./format.js";

const form = document.getElementById("key-form");
const field = document.getElementById("key");
const clear = document.getElementById("key-clear");
const answer = document.getElementById("key-answer");

let shownKey = null;

/** Returns the sentence about the replica that serves the key now, unless that is its home. */
function nowServed(serves, home) {
  if (!serves) return " No replica is up for it.";
  const other = replicaOf({ ...serves, health: "up" });
  switch (serves.why) {
    case "home": return "";
    case "bound": return ` Now ${other} serves the key; it is at its bound, and a part goes to the least loaded replica.`;
    case "guard": return ` A replica before it is slow, so ${other} serves the key now.`;
    case "slow_start": return ` A replica before it is in slow start, so ${other} serves the key now.`;
    default: return ` It is ${home.health}, so ${other} serves the key now.`;
  }
}

const replicaOf = ({ seat, name, health }) => `${name ?? "no replica"} in seat ${seat}${health === "up" ? "" : ` (${health})`}`;

async function find(key) {
  const { place, seats, serves, bound, home: stay } = await get(`/where?key=${encodeURIComponent(key)}`);
  const [home, ...others] = seats;
  if (!home) {
    mark(null);
    answer.textContent = "The ring is empty.";
    return;
  }
  mark(place ?? undefined, home.seat, [shorten(key), `seat ${home.seat}`, home.name ?? ""]);
  const next = others.find(({ health }) => health === "up");
  const isHome = serves?.why === "home" || serves?.why === "bound";
  const fallback = next && isHome ? ` If it is down: ${replicaOf(next)}.` : "";
  const spilled = bound ? ` The bound ${bound} moves about ${percent(1 - stay)} of all requests away from their home.` : "";
  answer.textContent = `${shorten(key)} is at home with ${replicaOf(home)}.${nowServed(serves, home)}${fallback}${spilled}`;
}

const shorten = (key) => (key.length > 14 ? `${key.slice(0, 13)}…` : key);

async function show(key) {
  try {
    await find(key);
    shownKey = key;
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
  shownKey = null;
  mark(null);
  field.value = answer.textContent = "";
  clear.hidden = true;
  field.focus();
});

/** Requests the shown key again, after the ring or the replicas have changed. */
export function refreshKey() {
  if (shownKey !== null) show(shownKey);
}
