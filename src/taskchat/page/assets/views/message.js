// What was said: by the user, and by the assistant, with what can be done with each.

import { copy } from "../conversations.js";
import { blocksOf } from "../markdown.js";
import { afterDrawing, changed, state, toast } from "../store.js";
import { openDetails, rate, regenerate, reword, showBranch } from "../talking.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { guard } from "../vendor/lit-html/directives/guard.js";
import { curlOf, messageTime, wholeTime } from "../words.js";
import { icon, iconButton } from "./icons.js";

export function userView(turn, part) {
  if (state.editing?.id === part.id) return rewordView(part);
  return html`
    <article class="message user ${part.isPending ? "waiting" : ""}" id="part-${part.id}" tabindex="-1" aria-label="You">
      <div class="text plain-text">${part.content}</div>
      ${part.isSteering ? html`<p class="note">${icon("right")}${part.isPending ? "Said to the running turn; not read yet" : "Said to the running turn"}</p>` : nothing}
      <footer>
        ${part.at ? timeView(part.at) : nothing}
        ${versionsView(turn, part)}
        <span class="actions">
          ${iconButton("copy", "Copy this message", () => copy(part.content, "The message is copied."))}
          ${iconButton("code", "Copy as curl", () => copy(curlOfUser(part), "The command is copied, with your token in it."))}
          ${part.isSteering ? nothing : iconButton("edit", "Edit this message", () => beginRewording(part))}
        </span>
      </footer>
    </article>`;
}

function beginRewording(part) {
  state.editing = { id: part.id };
  afterDrawing(() => document.getElementById("reworded")?.focus());
}

function endRewording() {
  state.editing = null;
  changed();
}

const rewordView = (part) => html`
  <form class="message user reword" @submit=${(event) => { event.preventDefault(); reword(part, event.target.reworded.value.trim()); }}>
    <label for="reworded">Another wording</label>
    <textarea id="reworded" name="reworded" rows="2" required .value=${part.content}
      @keydown=${(event) => event.key === "Escape" && endRewording()}></textarea>
    <p class="hint">It begins a branch: what came after stays on the other one. Changed tasks are not changed back.</p>
    <div class="buttons">
      <button type="button" class="button" @click=${endRewording}>Leave it</button>
      <button class="primary">Send</button>
    </div>
  </form>`;

export const draftView = (_turn, part) => html`
  <article class="message assistant draft" aria-label="Assistant">${markdownView(part)}</article>`;

export function replyView(turn, part) {
  const rating = turn.notes.get(part.id)?.rating?.value;
  return html`
    <article class="message assistant reply" id="part-${part.id}" tabindex="-1" aria-label="Assistant">
      ${markdownView(part)}
      ${part.interrupted ? html`<p class="note">${icon("stop")}Stopped here</p>` : nothing}
      <footer>
        ${part.at ? timeView(part.at) : nothing}
        ${versionsView(turn, part)}
        <span class="actions">
          ${iconButton("up", "Good reply", () => rate(turn, part, rating === "up" ? null : "up"), { pressed: rating === "up" })}
          ${iconButton("down", "Bad reply", () => rateDown(turn, part, rating), { pressed: rating === "down" })}
          ${rating === "down" ? html`<button type="button" class="plain small" @click=${() => openComment(turn, part)}>Say why</button>` : nothing}
          ${iconButton("copy", "Copy this reply", () => copy(part.content, "The reply is copied."))}
          ${iconButton("code", "Copy as curl", () => copy(curlOfReply(turn), "The command is copied, with your token in it."))}
          ${iconButton("again", "Another reply", () => regenerate(part))}
          ${iconButton("info", "What this turn did and cost", () => openDetails(turn.id))}
        </span>
      </footer>
    </article>`;
}

async function rateDown(turn, part, rating) {
  if (rating === "down") return rate(turn, part, null);
  await rate(turn, part, "down");
  toast("Thank you.");
}

function openComment(turn, part) {
  state.dialog = { kind: "comment", turn, part };
  changed();
}

function markdownView(part) {
  // Drawn again only if it has changed; of a growing text, its last block.
  return html`<div class="text markdown">${guard([part.content], () => {
    part.blocks = blocksOf(part.content, part.blocks);
    return part.blocks.map(({ markup }) => html`<div .innerHTML=${markup}></div>`);
  })}</div>`;
}

const timeView = (at) => html`<time datetime=${at} title=${wholeTime(at)}>${messageTime(at)}</time>`;

function versionsView(turn, part) {
  const versions = turn.notes.get(part.id)?.versions ?? [];
  if (versions.length < 2) return nothing;
  // Of a wording, each turn that replies to it counts as that wording.
  const place = Math.max(0, versions.indexOf(turn.id));
  const show = async (to) => {
    await showBranch(versions[to]);
    afterDrawing(() => document.querySelector(`#turn-${versions[to]} .${part.kind} .versions button:not([aria-disabled])`)?.focus());
  };
  return html`
    <span class="versions" role="group" aria-label="Versions">
      ${iconButton("left", "The version before", () => show(place - 1), { disabled: place === 0 })}
      <span>${place + 1} / ${versions.length}</span>
      ${iconButton("right", "The next version", () => show(place + 1), { disabled: place === versions.length - 1 })}
    </span>`;
}

const here = () => `/api/${encodeURIComponent(state.session.userId)}`;

const curlOfUser = (part) => curlOf({
  method: "POST",
  path: `${here()}/chat`,
  body: { message: part.content, conversation_id: state.thread.id },
  token: state.session.token,
});

const curlOfReply = (turn) => curlOf({ path: `${here()}/turns/${turn.id}`, token: state.session.token });

/** A message that is read by a link. */
export const sharedMessage = (message) => html`
  <article class="message ${message.role}" aria-label=${message.role === "user" ? "User" : "Assistant"}>
    ${message.role === "user" ? html`<div class="text plain-text">${message.content}</div>` : markdownView(message)}
    <footer>${timeView(message.created_at)}</footer>
  </article>`;
