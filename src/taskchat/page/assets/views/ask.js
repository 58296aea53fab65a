// What the agent asks of its user: a yes to tool calls, each of which can be changed or left out, or
// an answer to a question.

import { changed } from "../store.js";
import { respond } from "../talking.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { ago, asJson, toolWords } from "../words.js";
import { icon } from "./icons.js";

const ENDINGS = {
  approved: "You approved this.",
  rejected: "You refused this.",
  answered: "You answered.",
  expired: "Nobody answered in time.",
  withdrawn: "This is no longer asked.",
};

export function askView(_turn, part) {
  if (part.status !== "open") return closed(part);
  return html`
    <form class="ask" id="part-${part.id}" tabindex="-1" aria-label="The assistant asks" @submit=${(event) => submit(event, part)}>
      <p class="question">${icon("ask")}<span>${part.question}</span></p>
      ${part.asks === "approval" ? approval(part) : question(part)}
      <p class="hint">It waits for your answer and ends ${ago(part.expiresAt)}. A new message takes it back.</p>
    </form>`;
}

const closed = (part) => html`
  <div class="ask over" id="part-${part.id}" tabindex="-1">
    <p class="question">${icon(part.status === "approved" || part.status === "answered" ? "check" : "stop")}<span>${part.question}</span></p>
    <p class="hint">${ENDINGS[part.status]}${part.asks === "question" && part.answer ? html` “${part.answer}”` : nothing}${part.comment ? html` “${part.comment}”` : nothing}</p>
  </div>`;

const question = (part) => html`
  ${part.choices.length ? html`<div class="buttons" role="group" aria-label="Suggested answers">${part.choices.map((choice) => html`
    <button type="button" class="button" aria-disabled=${part.isBusy ? "true" : "false"} @click=${() => respond(part, { answer: choice })}>${choice}</button>`)}</div>` : nothing}
  <div class="row">
    <label class="grow">${part.choices.length ? "Or another answer" : "Your answer"}<input name="answer" required autocomplete="off"></label>
    <button class="primary" value="answer" aria-disabled=${part.isBusy ? "true" : "false"}>Answer</button>
  </div>`;

function approval(part) {
  return html`
    ${part.isChanging ? html`<div class="calls">${part.calls.map((call, place) => callView(part, call, place))}</div>` : nothing}
    <label>Comment for the assistant (optional)<input name="comment" autocomplete="off" @keydown=${notYet}></label>
    <div class="buttons">
      <button class="primary" value="approve" aria-disabled=${part.isBusy ? "true" : "false"}>${icon("check")}${part.isChanging ? "Approve what is ticked" : "Approve"}</button>
      <button class="button" value="reject" formnovalidate aria-disabled=${part.isBusy ? "true" : "false"}>${icon("close")}Refuse</button>
      <button type="button" class="plain" aria-expanded=${part.isChanging ? "true" : "false"} @click=${() => toggle(part)}>${part.isChanging ? "Change nothing" : "Change it first"}</button>
    </div>`;
}

/** Enter would press the first button: nobody approves by ending a comment. */
function notYet(event) {
  if (event.key === "Enter") event.preventDefault();
}

function toggle(part) {
  part.isChanging = !part.isChanging;
  changed();
}

const callView = (part, call, place) => html`
  <fieldset>
    <legend><label class="tick"><input type="checkbox" name="use-${place}" checked> ${toolWords(call.tool_name)}${call.subject ? html` “${call.subject}”` : nothing}</label></legend>
    ${Object.entries(call.arguments).map(([name, value]) => html`
      <label>${name}${fieldOf(`${place}-${name}`, value)}</label>`)}
  </fieldset>`;

function fieldOf(name, value) {
  if (typeof value === "number") return html`<input name=${name} type="number" step="any" required .value=${String(value)}>`;
  if (typeof value === "boolean") return html`<input name=${name} type="checkbox" .checked=${value}>`;
  if (typeof value === "string") return html`<textarea name=${name} rows="1" .value=${value}></textarea>`;
  return html`<textarea name=${name} rows="3" spellcheck="false" .value=${asJson(value)}></textarea>`;
}

function submit(event, part) {
  event.preventDefault();
  const form = event.target;
  const answer = event.submitter?.value;
  if (part.asks === "question") return respond(part, { answer: form.answer.value });
  const comment = form.comment.value.trim();
  const calls = answer === "approve" && part.isChanging ? changedCalls(form, part) : {};
  if (calls === null) return undefined;
  return respond(part, { answer, ...(comment && { comment }), ...(Object.keys(calls).length && { calls }) });
}

/** What differs from what was asked, by call; null if a field can't be read, which is said beside it. */
function changedCalls(form, part) {
  const calls = {};
  for (const [place, call] of part.calls.entries()) {
    if (!form.elements[`use-${place}`].checked) {
      calls[call.tool_call_id] = { answer: "reject" };
      continue;
    }
    const different = {};
    for (const [name, value] of Object.entries(call.arguments)) {
      const field = form.elements[`${place}-${name}`];
      const given = valueOf(field, value);
      if (given === undefined) return null;
      if (JSON.stringify(given) !== JSON.stringify(value)) different[name] = given;
    }
    if (Object.keys(different).length) calls[call.tool_call_id] = { arguments: different };
  }
  return calls;
}

function valueOf(field, value) {
  if (typeof value === "number") return field.valueAsNumber;
  if (typeof value === "boolean") return field.checked;
  if (typeof value === "string") return field.value;
  try {
    return JSON.parse(field.value);
  } catch {
    field.setCustomValidity("This is no JSON.");
    field.reportValidity();
    field.addEventListener("input", () => field.setCustomValidity(""), { once: true });
    return undefined;
  }
}
