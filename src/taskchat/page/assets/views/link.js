// A conversation that is read by a link: nothing in it can be changed.

import { readLink } from "../link.js";
import { state } from "../store.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { wholeTime } from "../words.js";
import { icon } from "./icons.js";
import { sharedMessage } from "./message.js";
import { toolView } from "./tool.js";

export function sharedConversation() {
  const { about, messages, next, problem, token } = state.link;
  if (problem) {
    return html`<main class="shared"><div class="nothing" role="alert">${icon("problem")}<h1>There is nothing to read</h1><p>${problem}</p></div></main>`;
  }
  if (!about) return html`<main class="opening"><p role="status">Reading …</p></main>`;
  return html`
    <main class="shared">
      <header><p class="brand">${icon("check")}<span>taskchat</span></p>
        <h1>${about.title ?? "A conversation"}</h1>
        <p class="hint">Shared as it was on ${wholeTime(about.shared_at)}.</p></header>
      <div class="column">${messages.map(one)}</div>
      ${next ? html`<button type="button" class="button" @click=${() => readLink(token, next)}>Show more</button>` : nothing}
    </main>`;
}

const one = (message, place) => html`
  ${(message.tool_calls ?? []).map((call, number) => toolView(null, {
    id: `${place}-${number}`, name: call.tool_name, arguments: call.parameters, result: call.result,
    status: call.status, at: call.executed_at,
  }))}
  ${sharedMessage(message)}`;
