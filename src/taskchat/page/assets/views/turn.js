// One turn: what was said, what was done, and the reply, in the order in which it happened.

import { state } from "../store.js";
import { regenerate, stop } from "../talking.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { askView } from "./ask.js";
import { icon } from "./icons.js";
import { draftView, replyView, userView } from "./message.js";
import { toolView } from "./tool.js";

const VIEWS = {
  user: userView,
  tool: toolView,
  ask: askView,
  draft: draftView,
  reply: replyView,
  error: errorView,
  reasoning: reasoningView,
};

export const turnView = (turn) => html`
  <div class="turn" id="turn-${turn.id}" aria-busy=${turn.isOver ? "false" : "true"}>
    ${repeat(turn.parts, (part) => `${part.kind}-${part.id}`, (part) => VIEWS[part.kind](turn, part))}
    ${stateView(turn)}
  </div>`;

function stateView(turn) {
  if (turn.isOver || turn.parts.some((part) => part.kind === "draft")) return nothing;
  if (turn.status === "queued") {
    return html`<p class="progress">${icon("later")}<span>Waits for the turn before it.</span>
      <button type="button" class="plain" @click=${() => stop(turn)}>Withdraw</button></p>`;
  }
  if (turn.status === "awaiting_feedback") return nothing;
  return html`<p class="progress"><span class="dots" aria-hidden="true"><i></i><i></i><i></i></span><span>${
    turn.parts.some((part) => part.kind === "tool" && part.status === "running") ? "Working" : "Thinking"}</span></p>`;
}

function whenSent(said) {
  if (state.line.status !== "online") return "Is sent when the service is back";
  return said.isLimited ? "Over the limit for now; is sent by itself" : "Sending …";
}

export const waitingView = (said) => html`
  <div class="turn">
    <article class="message user waiting" aria-label="You">
      <div class="text plain-text">${said.content}</div>
      <p class="note">${icon("later")}${whenSent(said)}</p>
    </article>
  </div>`;

function errorView(turn, part) {
  if (part.code === "turn_cancelled") {
    return html`<p class="ended">${icon("stop")}<span>Stopped. What was done stays done.</span></p>`;
  }
  const said = turn.parts.find((one) => one.kind === "user");
  return html`
    <div class="failed" role="group" aria-label="This failed">
      ${icon("problem")}
      <p>${part.text}</p>
      <p class="hint">${part.code}${part.requestId ? html` · request <code>${part.requestId}</code>` : nothing}</p>
      ${said ? html`<button type="button" class="button small" @click=${() => regenerate(said)}>${icon("again")}Try again</button>` : nothing}
    </div>`;
}

function reasoningView(_turn, part) {
  return html`<details class="reasoning"><summary>Reasoning</summary><div class="plain-text">${part.content}</div></details>`;
}
