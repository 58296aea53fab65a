// The field that messages are written in. While a turn runs, what is written goes to it, or waits.

import { state } from "../store.js";
import { say, steer, stop } from "../talking.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { icon } from "./icons.js";

export const canWrite = (thread) => Boolean(thread) && !thread.isMissing && thread.about?.status !== "ended";

export function composer(thread) {
  if (thread.isMissing) return nothing;
  if (!canWrite(thread)) {
    return html`<p class="closed">This conversation has ended. <a href="#/">Begin a new one</a></p>`;
  }
  const { running } = thread;
  const isAsking = running?.status === "awaiting_feedback";
  const canSteer = running && !isAsking;
  return html`
    <form class="composer" @submit=${submit}>
      <label class="unseen" for="message">Message</label>
      <textarea id="message" name="message" rows="1" autocomplete="off"
        aria-describedby="message-hint" placeholder=${placeholderOf(running, isAsking)} @keydown=${keyed}></textarea>
      <div class="bar">
        <p class="hint" id="message-hint">${canSteer ? "Enter says it to the running turn, Ctrl+Enter queues it" : "Enter sends, Shift+Enter is a new line"}</p>
        ${running ? html`<button type="button" class="button stop" @click=${() => stop(running)}>${icon("stop")}Stop</button>` : nothing}
        ${canSteer ? html`<button class="button" value="say">${icon("later")}Queue</button>` : nothing}
        <button class="primary round" value=${canSteer ? "steer" : "say"} aria-label=${canSteer ? "Say it to the running turn" : "Send"}>${icon("send")}</button>
      </div>
    </form>`;
}

function placeholderOf(running, isAsking) {
  if (isAsking) return "Answer above, or write on";
  return running ? "Say more while it works" : "Add, change, finish, ask …";
}

function keyed(event) {
  // Enter also ends the composing of a character.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send(event.target, event.ctrlKey || event.metaKey ? "say" : null);
}

function submit(event) {
  event.preventDefault();
  send(event.target.message, event.submitter?.value);
}

function send(field, how) {
  const content = field.value.trim();
  if (!content) return field.focus();
  field.value = "";
  const { running } = state.thread;
  const isSteered = how !== "say" && running && running.status !== "awaiting_feedback";
  if (isSteered) steer(running, content);
  else say(content);
  field.focus();
  return undefined;
}
