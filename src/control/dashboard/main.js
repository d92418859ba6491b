// The page: requests the state once a second and passes it to the parts of the page. Without an answer it
// shows since when, keeps the last state visible, and goes on once the balancer answers again.

import { get, now, Refusal, useToken } from "./api.js";
import { discardPreview, onBusy, onDone, setReplicas, startOrder } from "./change_dialog.js";
import { Chart } from "./charts.js";
import { followEvents } from "./events.js";
import { refreshKey } from "./where_key.js";
import { setEngine } from "./change_form.js";
import { showRollout } from "./rollout.js";
import { drawLoad, drawRing } from "./ring.js";
import { lockOrders, onOrder, showReplicas } from "./seats.js";
import { bytes, clock, count, make, ms, percent, rate, setText, span } from "./format.js";

const EVERY_MS = 1000;
const ARCS = 720;

const byId = (id) => document.getElementById(id);
const charts = {
  requests: new Chart("chart-requests", "Requests/s", [""], rate),
  latency: new Chart("chart-latency", "Latency, ms", ["p50", "p99"], ms),
  bytes: new Chart("chart-bytes", "Bytes/s to clients", [""], bytes),
};

let ring = null;
let drawnOutline = "";
let drawnSeats = "";
let lastAnswer = null;
let isLost = false;


async function update() {
  const [stats, replicas, history] = await Promise.all([get("/stats"), get("/replicas").catch(ignoreNotFound), get("/history")]);
  // The picture of the ring depends on nothing else.
  const outlined = stats.ring_hash;
  if (outlined !== drawnOutline) {
    ring = await get(`/ring?points=${ARCS}`);
    if (drawnOutline) discardPreview("The ring has changed since; preview it again.");
    drawnOutline = outlined;
    drawRing(ring);
  }
  // The seats of a key depend on the ring, and on the names and states of the replicas.
  const seated = outlined + JSON.stringify(stats.seats.map(({ name, state }) => [name, state]));
  if (seated !== drawnSeats) {
    drawnSeats = seated;
    refreshKey();
  }
  showHistory(history);
  show(stats, replicas?.replicas ?? [], replicas?.replacement);
}

function showHistory(history) {
  charts.requests.show([history.requests_per_s]);
  charts.latency.show([history.total_ms.p50, history.total_ms.p99]);
  charts.bytes.show([history.bytes_to_client_per_s]);
}

/** Returns null for a balancer without that path; other errors are thrown. */
function ignoreNotFound(err) {
  if (err instanceof Refusal && err.status === 404) return null;
  throw err;
}

function show(stats, replicas, rollout) {
  showSummary(stats);
  showCounts(stats);
  const kind = stats.ring.split(":")[0];
  const rows = tableRows(stats, replicas);
  drawLoad(stats.seats, idleSeats(rows), ring, [stats.wanted ? `${stats.up} of ${stats.wanted} up` : "no replicas", kind, stats.bound ? `bound ${stats.bound}` : "no bound"]);
  showReplicas(rows);
  setReplicas(rows.filter(({ orders }) => orders.length));
  setEngine(stats.engine);
  showRollout(rollout);
  byId("replace-all").hidden = !rows.some(({ orders }) => orders.includes("replace"));
  const state = stats.up === stats.wanted && stats.up > 0 ? "good" : stats.up > 0 ? "some" : "bad";
  byId("status").dataset.state = state;
  setText(byId("status-text"), stats.wanted ? `${stats.up} of ${stats.wanted} up` : "no replicas");
  document.title = `${stats.up}/${stats.wanted} up · Ringmaster`;
}

function showList(element, rows) {
  const texts = rows.map(([name, text]) => `${name}\u0000${text}`).join("\u0001");
  if (element.dataset.texts === texts) return;
  element.dataset.texts = texts;
  element.replaceChildren(...rows.map(([name, text]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, text))));
}

function showSummary(stats) {
  showList(byId("summary"), [
    ["Ring", stats.ring],
    ["Bound", stats.bound ? String(stats.bound) : "none"],
    ["Hash", stats.ring_hash],
    ["Engine", `${stats.engine}${stats.engine_up ? "" : ", does not answer"}`],
    ["Workers", String(stats.workers)],
    ["Up for", span(stats.uptime_s)],
    ["Version", stats.version],
  ]);
}

function showCounts(stats) {
  const all = stats.totals;
  const retries = Object.values(all.retries).reduce((sum, n) => sum + n, 0);
  const errors = all.responses["5xx"] + all.own_replies["5xx"];
  showList(byId("counts"), [
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

/** Seats without new requests. */
const idleSeats = (rows) => new Set(rows.filter(({ idle }) => idle).map(({ seat }) => seat));

const IDLE = new Set(["down", "silent", "empty", "waiting", "drained"]);
const SERVING = new Set(["up", "slow", "ejected", "suspect", "silent", "down"]);

/** Returns the orders that are possible in this state. A fixed engine starts and stops nothing. */
function orders(state, engine) {
  const drainOrReady = state === "drained" ? ["ready"] : SERVING.has(state) ? ["drain"] : [];
  return engine === "fixed" ? drainOrReady : ["replace", ...drainOrReady, "remove"];
}

/** Returns the seconds since a time, by the balancer's clock. */
const since = (time) => (time ? (now() - Date.parse(time)) / 1000 : null);

/** Returns the rows of the table: the seats of the ring, then the replicas without a seat. */
function tableRows(stats, replicas) {
  // An unresponsive replica and its successor may share a seat; the counts are of the one that answers.
  const detailsOf = ({ seat, name }) =>
    replicas.find((other) => other.name === name) ?? replicas.find((other) => name === null && other.seat === seat);
  const shares = new Map(ring.seats.map(({ seat, share }) => [seat, share]));
  const largest = Math.max(1e-9, ...shares.values(), ...stats.seats.map(({ share }) => share ?? 0));
  const seated = stats.seats.map((seat) => {
    const more = detailsOf(seat);
    const name = seat.name ?? more?.name;
    // Only the counts show that a replica is slow.
    const state = more && more.state !== "up" ? more.state : seat.state;
    return {
      key: `seat ${seat.seat}`, seat: seat.seat, name, address: seat.address, engineId: more?.engine_id,
      version: more?.version, state, idle: IDLE.has(state), reason: more?.reason, upFor: since(more?.up_since),
      rps: seat.requests_per_s, p50: seat.total_ms.p50, p99: seat.total_ms.p99, flight: seat.in_flight,
      home: seat.home_share, keys: shares.get(seat.seat), got: seat.share, largest,
      beat: seat.heartbeat_ms.p50, missed: seat.heartbeats_missed,
      orders: name ? orders(state, stats.engine) : [],
    };
  });
  const shown = new Set(stats.seats.map(detailsOf));
  const others = replicas.filter((more) => !shown.has(more)).map((more) => ({
    key: `name ${more.name}`, seat: more.seat, name: more.name, address: more.address, engineId: more.engine_id, version: more.version, state: more.state,
    reason: more.reason, upFor: since(more.up_since), flight: more.in_flight, beat: more.heartbeat_ms, largest, orders: [],
  }));
  return [...seated, ...others];
}

function showLost(err) {
  for (const chart of Object.values(charts)) chart.miss();
  const refused = err instanceof Refusal;
  isLost = true;
  const seconds = lastAnswer ? (Date.now() - lastAnswer) / 1000 : 0;
  const duration = seconds >= 1 ? `, for ${span(seconds)}` : "";
  const since = lastAnswer ? `since ${clock(new Date(lastAnswer))}${duration}` : "yet";
  const sentence = refused
    ? `The balancer refuses access: ${err.message}`
    : `No answer from the balancer ${since}. Retrying every second; the page shows the last known state.`;
  const banner = byId("connection-lost");
  // Screen readers announce it once, and not every second.
  banner.setAttribute("aria-live", banner.hidden ? "assertive" : "off");
  banner.hidden = false;
  setText(banner, sentence);
  if (refused && err.status === 403) byId("token-box").open = true;
  byId("status").dataset.state = "lost";
  setText(byId("status-text"), refused ? "refused" : "lost");
  document.body.classList.toggle("outdated", lastAnswer !== null);
  document.title = "lost · Ringmaster";
}

function showFound() {
  lastAnswer = Date.now();
  if (!isLost) return;
  isLost = false;
  byId("connection-lost").hidden = true;
  document.body.classList.remove("outdated");
  setText(byId("announcer"), "The balancer answers again.");
  // It may be another balancer.
  drawnOutline = "";
}

let updating = Promise.resolve();

/** Updates one after the other, so that an older answer never replaces a newer one. */
const updateOnce = () => (updating = updating.then(() => update().then(showFound, showLost)));

async function loop() {
  const begun = Date.now();
  if (!document.hidden) await updateOnce();
  setTimeout(loop, Math.max(0, EVERY_MS - (Date.now() - begun)));
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value);
  byId("token").value = "";
  byId("token-box").open = false;
});

onOrder(startOrder);
onDone(updateOnce);
onBusy((busy) => {
  lockOrders(busy);
  byId("replace-all").setAttribute("aria-disabled", busy);
});
byId("replace-all").addEventListener("click", () => startOrder("replace", "all"));
loop();
followEvents();
