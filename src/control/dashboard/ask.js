// Asks the control port, and nobody else: JSON by GET, changes by POST and DELETE, events as a stream.
// A question has a deadline; a change has none, since it takes as long as it takes.

const DEADLINE_MS = 4000;
const KEPT = "ringmaster-token";

let token = sessionStorage.getItem(KEPT) ?? "";

/** Keeps the token for this tab. */
export function useToken(text) {
  token = text.trim();
  sessionStorage.setItem(KEPT, token);
}

/** A refusal of the balancer: its sentence, and its status. */
export class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

function headers(more) {
  return token ? { ...more, authorization: `Bearer ${token}` } : { ...more };
}

let ahead = 0;

/** The time by the balancer's clock, in milliseconds, as its answers tell it. */
export const now = () => Date.now() + ahead;

async function message(response) {
  const date = Date.parse(response.headers.get("date"));
  // It is told in whole seconds.
  if (Math.abs(date - now()) > 2000) ahead = date - Date.now();
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) {
    return body.status === "successful" ? body.message : body;
  }
  const sentence = String(body?.message ?? `status ${response.status}`);
  throw new Refusal(response.status, sentence.replace(/^<Error> /, ""));
}

/** The message of a path. Anything thrown but a Refusal means that nobody answered in time. */
export async function ask(path, deadline = DEADLINE_MS) {
  try {
    const signal = AbortSignal.timeout(deadline);
    return await message(await fetch(path, { headers: headers(), signal, cache: "no-store" }));
  } catch (err) {
    if (err instanceof Refusal) throw err;
    throw new Error(err.name === "TimeoutError" ? `There was no answer within ${deadline / 1000} s.` : "Nobody answers.");
  }
}

/** Changes something. */
export async function change(method, path, fields) {
  const body = JSON.stringify(fields);
  const kind = { "content-type": "application/json" };
  return message(await fetch(path, { method, headers: headers(kind), body }));
}

/**
 * Reads server-sent events from `path` until the connection ends, and gives each to `take` as an id and a
 * text. It is fetched, because an EventSource cannot show a token.
 */
export async function follow(path, last, take) {
  const more = { accept: "text/event-stream" };
  if (last) more["last-event-id"] = last;
  const response = await fetch(path, { headers: headers(more), cache: "no-store" });
  if (!response.ok) await message(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      let id = "";
      const data = [];
      for (const line of block.split("\n")) {
        if (line.startsWith("id:")) id = line.slice(3).trim();
        if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
      }
      if (data.length) take(id, data.join("\n"));
    }
  }
}
