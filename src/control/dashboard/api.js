// Client of the control port: JSON by GET, changes by POST and DELETE, events as a stream.
// A GET has a deadline. A change has none, because the balancer limits its duration.

const DEADLINE_MS = 4000;
const TOKEN_KEY = "ringmaster-token";

let token = sessionStorage.getItem(TOKEN_KEY) ?? "";

/** Stores the token for this tab. */
export function useToken(text) {
  token = text.trim();
  sessionStorage.setItem(TOKEN_KEY, token);
}

/** A refusal of the balancer: its sentence and its status. */
export class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

function headers(more) {
  return token ? { ...more, authorization: `Bearer ${token}` } : { ...more };
}

/** Difference between the balancer's clock and this one, in milliseconds. */
let clockOffset = 0;

/** Time by the balancer's clock, in milliseconds, from the Date of its answers. */
export const now = () => Date.now() + clockOffset;

async function message(response) {
  const date = Date.parse(response.headers.get("date"));
  // Date has a resolution of one second.
  if (Math.abs(date - now()) > 2000) clockOffset = date - Date.now();
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) {
    return body.status === "successful" ? body.message : body;
  }
  const sentence = String(body?.message ?? `status ${response.status}`);
  throw new Refusal(response.status, sentence.replace(/^<Error> /, ""));
}

/** Returns the message of a path. Throws a Refusal, or another error if no answer came in time. */
export async function get(path, deadline = DEADLINE_MS) {
  try {
    const signal = AbortSignal.timeout(deadline);
    return await message(await fetch(path, { headers: headers(), signal, cache: "no-store" }));
  } catch (err) {
    if (err instanceof Refusal) throw err;
    throw new Error(err.name === "TimeoutError" ? `There was no answer within ${deadline / 1000} s.` : "The balancer does not answer.");
  }
}

/** Sends a change and returns its message. */
export async function send(method, path, fields) {
  const body = JSON.stringify(fields);
  const kind = { "content-type": "application/json" };
  return message(await fetch(path, { method, headers: headers(kind), body }));
}

/**
 * Reads server-sent events from `path` until the connection ends, and calls `take` with the id and the
 * data of each. It uses fetch, because an EventSource cannot send a token.
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
