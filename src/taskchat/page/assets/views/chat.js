// The conversation that is shown: its head, its turns, and the field below them.

import { changeConversation, openShares } from "../conversations.js";
import { changed, state } from "../store.js";
import { readEarlier, say } from "../talking.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { composer } from "./composer.js";
import { icon, iconButton } from "./icons.js";
import { menu } from "./menu.js";
import { showPanel } from "./panels.js";
import { holdStill, scrolled, toNewest } from "./scrolling.js";
import { turnView, waitingView } from "./turn.js";

export function chat() {
  const { thread } = state;
  if (!thread) return nothing;
  const isEmpty = !thread.order.length && !state.waiting.length;
  return html`
    ${head(thread)}
    ${thread.isMissing ? nothing : lineView()}
    <div class="messages" tabindex="0" role="region" aria-label="Messages" @scroll=${scrolled}>
      <div class="column">
        ${thread.earlier ? earlier(thread) : nothing}
        ${thread.problem ? problemView(thread) : isEmpty ? emptiness(thread) : nothing}
        ${repeat(thread.shown, (turn) => turn.id, turnView)}
        ${repeat(state.waiting, (said) => said.key, waitingView)}
      </div>
    </div>
    <div class="foot">
      ${thread.isFollowed ? nothing : html`
        <button type="button" class="newest" @click=${toNewest}>${icon("below")}Newest</button>`}
      ${composer(thread)}
    </div>`;
}

function head({ id, about }) {
  const open = state.tasks.list?.filter((task) => !task.completed).length;
  return html`
    <header class="head">
      <span class="only-narrow">${iconButton("menu", "Conversations", () => showPanel("conversations"))}</span>
      <h1>${about?.title ?? "New conversation"}</h1>
      ${about ? html`
        ${about.status === "active" ? nothing : html`<span class="badge">${about.status}</span>`}
        ${menu("conversation", "This conversation", [
          { icon: "edit", label: "Rename", run: () => openDialog({ kind: "rename", id, title: about.title ?? "" }) },
          { icon: "share", label: "Share", run: () => openShares(id) },
          { icon: "save", label: "Export", run: () => openDialog({ kind: "export", id }) },
          { icon: "box", label: about.archived ? "Take out of the archive" : "Archive", run: () => changeConversation(id, { archived: !about.archived }) },
          about.status === "ended" ? null : { icon: "pause", label: "End", run: () => openDialog({ kind: "end", id }) },
          { icon: "trash", label: "Delete", kind: "danger", run: () => openDialog({ kind: "delete", id, title: about.title }) },
        ])}` : nothing}
      <span class="only-unwide tasks-button">${iconButton("list", open ? `Tasks, ${open} open` : "Tasks", () => showPanel("tasks"))}${open ? html`<span class="count" aria-hidden="true">${open}</span>` : nothing}</span>
    </header>`;
}

function openDialog(dialog) {
  state.dialog = dialog;
  changed();
}

function lineView() {
  const { status, text } = state.line;
  if (status === "online" || status === "connecting" || status === "idle") return nothing;
  return html`
    <p class="line ${status}" role="status">${icon("problem")}
      ${status === "refused" ? html`<span>${text}</span>` : html`<span>${text} What you write is kept, and sent when the service is back.</span>`}</p>`;
}

const earlier = (thread) => html`
  <button type="button" class="plain wide" aria-disabled=${thread.isReadingEarlier ? "true" : "false"}
    @click=${() => { holdStill(); readEarlier(thread); }}>${thread.isReadingEarlier ? "Reading …" : "Show earlier messages"}</button>`;

const problemView = (thread) => html`
  <div class="nothing" role="alert">
    ${icon("problem")}
    <h2>${thread.isMissing ? "There is no such conversation" : "The conversation can’t be read"}</h2>
    <p>${thread.isMissing ? "It was deleted, or is another user’s." : thread.problem}</p>
    <a class="button" href="#/">Begin a new one</a>
  </div>`;

const IDEAS = ["Add buy milk and call mom to my list", "What is on my list?", "What can you do?"];

function emptiness(thread) {
  if (!thread.isRead) return html`<p class="empty" role="status">Reading …</p>`;
  return html`
    <div class="nothing">
      <h2>What should be on your list?</h2>
      <p>Say it as you would to a person. You see what is done as it happens, and can change it yourself in the task list.</p>
      <ul class="ideas">${IDEAS.map((idea) => html`
        <li><button type="button" @click=${() => say(idea)}>${idea}</button></li>`)}</ul>
    </div>`;
}
