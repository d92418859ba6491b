// The line about the replacement that is under way, with the buttons that stop it or bring the former
// versions back.

import { send } from "./api.js";
import { setText } from "./format.js";

const line = document.getElementById("rollout");
const text = document.getElementById("rollout-text");
const failure = document.getElementById("rollout-failure");
const stop = document.getElementById("rollout-stop");
const back = document.getElementById("rollout-back");

/** Shows the progress of a replacement; null: there is none. */
export function showRollout(replacement) {
  line.hidden = !replacement;
  if (!replacement) return void setText(failure, "");
  const { version, back: goesBack, done, total, failures, preparing } = replacement;
  back.hidden = goesBack || !version || preparing;
  if (preparing) return void setText(text, `Looking up ${version}, for ${total} to replace`);
  const what = goesBack ? "Bringing the former versions back" : version ? `Replacing by ${version}` : "Replacing";
  const failed = failures ? `, ${failures} failure${failures === 1 ? "" : "s"}` : "";
  setText(text, `${what}: ${done} of ${total} done${failed}`);
}

/** Sends the order of a button. Its effect shows in the line, only a refusal is told. */
async function order(button, path) {
  button.disabled = true;
  setText(failure, "");
  try {
    await send("POST", path, {});
  } catch (err) {
    if (!(err instanceof TypeError)) setText(failure, err.message);
  }
  button.disabled = false;
}

stop.addEventListener("click", () => order(stop, "/replace/stop"));
back.addEventListener("click", () => order(back, "/replace/back"));
