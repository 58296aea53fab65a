// A tool call: what was asked for, what came of it, and how long it took.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { asJson, duration, subjectOf, toolWords, wholeTime } from "../words.js";
import { icon } from "./icons.js";

const STATES = {
  running: { icon: "later", words: "running" },
  waiting: { icon: "ask", words: "waits for your answer" },
  completed: { icon: "check", words: "done" },
  failed: { icon: "problem", words: "failed" },
  interrupted: { icon: "stop", words: "not done" },
};

export function toolView(_turn, part) {
  const told = STATES[part.status];
  const subject = subjectOf(part);
  return html`
    <details class="tool ${part.status}" id="part-${part.id}" tabindex="-1">
      <summary>
        ${icon(told.icon)}
        <span class="name">${toolWords(part.name)}</span>
        ${subject ? html`<span class="subject">${subject}</span>` : nothing}
        <span class="how">${part.status === "completed" ? html`<span class="unseen">${told.words}</span>` : told.words}${part.ms === undefined ? nothing : html` <span class="ms">${duration(part.ms)}</span>`}</span>
        ${icon("below")}
      </summary>
      <div class="inside">
        <p class="label">Arguments</p>
        <pre tabindex="0">${asJson(part.arguments)}</pre>
        ${part.result === undefined || part.result === null ? nothing : html`<p class="label">Result</p><pre tabindex="0">${asJson(part.result)}</pre>`}
        <p class="hint"><code>${part.name}</code>${part.at ? html` · ${wholeTime(part.at)}` : nothing}</p>
      </div>
    </details>`;
}
