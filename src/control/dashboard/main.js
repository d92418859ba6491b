// The page: asks once a second how things stand and hands it round. It says when nobody answers and since
// when, keeps what was last heard in sight, and goes on by itself once there is an answer again.

import { ask, now, Refusal, useToken } from "./ask.js";
import { asked, know, onDoing, onDone, stale } from "./change.js";
import { Chart } from "./charts.js";
import { followEvents } from "./events.js";
import { lookAgain } from "./key.js";
import { drawLoad, drawRing } from "./ring.js";
import { lockOrders, onOrder, showReplicas } from "./seats.js";
import { bytes, clock, count, make, ms, percent, rate, say, span } from "./words.js";

const EVERY_MS = 1000;
const ARCS = 720;

const page = (id) => document.getElementById(id);
const charts = {
  requests: new Chart("chart-requests", "Requests/s", [""], rate),
  latency: new Chart("chart-latency", "Latency, ms", ["p50", "p99"], ms),
  bytes: new Chart("chart-bytes", "Bytes/s to clients", [""], bytes),
};

let ring = null;
let ringIsOf = "";
let seatsAreOf = "";
let heard = null;
let silent = false;

/** What decides how the ring looks. */
const outline = (stats) => JSON.stringify([stats.ring, stats.bound, stats.seats.map(({ seat }) => seat)]);

async function look() {
  const [stats, replicas] = await Promise.all([ask("/stats"), ask("/replicas").catch(quietly)]);
  const outlined = outline(stats);
  if (outlined !== ringIsOf) {
    ring = await ask(`/ring?points=${ARCS}`);
    if (ringIsOf) stale("The ring has changed since; preview it again.");
    ringIsOf = outlined;
    drawRing(ring);
  }
  // Where a key is follows from the ring, from who sits there, and from how they are.
  const seated = outlined + JSON.stringify(stats.seats.map(({ name, state }) => [name, state]));
  if (seated !== seatsAreOf) {
    seatsAreOf = seated;
    lookAgain();
  }
  show(stats, replicas?.replicas ?? []);
}

/** A balancer without that path; anything else is told. */
function quietly(err) {
  if (err instanceof Refusal && err.status === 404) return null;
  throw err;
}

function show(stats, replicas) {
  const all = stats.totals;
  charts.requests.add([all.requests_per_s]);
  charts.latency.add([all.total_ms.p50, all.total_ms.p99]);
  charts.bytes.add([all.bytes_to_client_per_s]);
  facts(stats);
  counts(stats);
  const kind = stats.ring.split(":")[0];
  const rows = views(stats, replicas);
  drawLoad(stats.seats, idle(rows), ring, [stats.wanted ? `${stats.up} of ${stats.wanted} up` : "no replicas", kind, stats.bound ? `bound ${stats.bound}` : "no bound"]);
  showReplicas(rows);
  know(rows.filter(({ orders }) => orders.length));
  page("replace-all").hidden = !rows.some(({ orders }) => orders.includes("replace"));
  const state = stats.up === stats.wanted && stats.up > 0 ? "good" : stats.up > 0 ? "some" : "bad";
  page("pulse").dataset.state = state;
  say(page("pulse-text"), stats.wanted ? `${stats.up} of ${stats.wanted} up` : "no replicas");
  document.title = `${stats.up}/${stats.wanted} up · Ringmaster`;
}

function list(element, rows) {
  const texts = rows.map(([name, text]) => `${name}\u0000${text}`).join("\u0001");
  if (element.dataset.texts === texts) return;
  element.dataset.texts = texts;
  element.replaceChildren(...rows.map(([name, text]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, text))));
}

function facts(stats) {
  list(page("facts"), [
    ["Ring", stats.ring],
    ["Bound", stats.bound ? String(stats.bound) : "none"],
    ["Engine", `${stats.engine}${stats.engine_up ? "" : ", does not answer"}`],
    ["Workers", String(stats.workers)],
    ["Up for", span(stats.uptime_s)],
    ["Version", stats.version],
  ]);
}

function counts(stats) {
  const all = stats.totals;
  const retries = Object.values(all.retries).reduce((sum, n) => sum + n, 0);
  const errors = all.responses["5xx"] + all.own_replies["5xx"];
  list(page("counts"), [
    ["In flight", count(all.in_flight)],
    ["Clients", count(all.connections.open)],
    ["At home", percent(all.home_share)],
    ["Spilled", count(all.spilled)],
    ["Diverted", count(all.diverted)],
    ["Requests", count(all.requests)],
    ["Retried", count(retries)],
    ["5xx", count(errors)],
    ["Truncated", count(all.truncated)],
    ["Replaced", count(all.replacements)],
  ]);
}

/** The seats that get no new requests. */
const idle = (rows) => new Set(rows.filter(({ idle }) => idle).map(({ seat }) => seat));

const IDLE = new Set(["down", "silent", "empty", "waiting", "drained"]);
const WATCHED = new Set(["up", "slow", "suspect", "silent", "down"]);

/** What can be ordered about a replica in this state; nothing is started or stopped by fixed engines. */
function orders(state, engine) {
  const duty = state === "drained" ? ["ready"] : WATCHED.has(state) ? ["drain"] : [];
  return engine === "fixed" ? duty : ["replace", ...duty, "remove"];
}

/** How many seconds ago a time was, by the balancer's clock. */
const since = (time) => (time ? (now() - Date.parse(time)) / 1000 : null);

/** The rows of the table: the seats of the ring, then whoever has none. */
function views(stats, replicas) {
  // A silent one and its successor may share a seat; the one that answers is in the counts too.
  const card = ({ seat, name }) =>
    replicas.find((other) => other.name === name) ?? replicas.find((other) => name === null && other.seat === seat);
  const shares = new Map(ring.seats.map(({ seat, share }) => [seat, share]));
  const largest = Math.max(1e-9, ...shares.values(), ...stats.seats.map(({ share }) => share ?? 0));
  const seated = stats.seats.map((seat) => {
    const more = card(seat);
    const name = seat.name ?? more?.name;
    // Only the workers know that one is slow.
    const state = more && more.state !== "up" ? more.state : seat.state;
    return {
      key: `seat ${seat.seat}`, seat: seat.seat, name, address: seat.address, engineId: more?.engine_id,
      state, idle: IDLE.has(state), reason: more?.reason, upFor: since(more?.up_since),
      rps: seat.requests_per_s, p50: seat.total_ms.p50, p99: seat.total_ms.p99, flight: seat.in_flight,
      home: seat.home_share, keys: shares.get(seat.seat), got: seat.share, largest,
      beat: seat.heartbeat_ms.p50, missed: seat.heartbeats_missed,
      orders: name ? orders(state, stats.engine) : [],
    };
  });
  const shown = new Set(stats.seats.map(card));
  const others = replicas.filter((more) => !shown.has(more)).map((more) => ({
    key: `name ${more.name}`, seat: more.seat, name: more.name, address: more.address, engineId: more.engine_id, state: more.state,
    reason: more.reason, upFor: since(more.up_since), flight: more.in_flight, beat: more.heartbeat_ms, largest, orders: [],
  }));
  return [...seated, ...others];
}

function lost(err) {
  for (const chart of Object.values(charts)) chart.add([]);
  const refused = err instanceof Refusal;
  silent = true;
  const silence = heard ? (Date.now() - heard) / 1000 : 0;
  const counted = silence >= 1 ? `, for ${span(silence)}` : "";
  const since = heard ? `since ${clock(new Date(heard))}${counted}` : "yet";
  const sentence = refused
    ? `The balancer refuses to tell: ${err.message}`
    : `No answer from the balancer ${since}. Asking again every second; what you see is what was last heard.`;
  const banner = page("lost");
  // Said aloud once, and then only counted on.
  banner.setAttribute("aria-live", banner.hidden ? "assertive" : "off");
  banner.hidden = false;
  say(banner, sentence);
  if (refused && err.status === 403) page("token-box").open = true;
  page("pulse").dataset.state = "lost";
  say(page("pulse-text"), refused ? "refused" : "lost");
  document.body.classList.toggle("stale", heard !== null);
  document.title = "lost · Ringmaster";
}

function found() {
  heard = Date.now();
  if (!silent) return;
  silent = false;
  page("lost").hidden = true;
  document.body.classList.remove("stale");
  say(page("news"), "The balancer answers again.");
  // It may be another one by now.
  ringIsOf = "";
}

let looking = Promise.resolve();

/** One look after the other, so that none shows what was before another. */
const lookOnce = () => (looking = looking.then(() => look().then(found, lost)));

async function turn() {
  const begun = Date.now();
  if (!document.hidden) await lookOnce();
  setTimeout(turn, Math.max(0, EVERY_MS - (Date.now() - begun)));
}

page("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(page("token").value);
  page("token").value = "";
  page("token-box").open = false;
});

onOrder(asked);
onDone(lookOnce);
onDoing((doing) => {
  lockOrders(doing);
  page("replace-all").setAttribute("aria-disabled", doing);
});
page("replace-all").addEventListener("click", () => asked("replace", "all"));
turn();
followEvents();
