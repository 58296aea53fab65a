// The conversations, and what is found by searching them.

import { signOut } from "../account.js";
import {
  copy, findMore, loadConversations, loadMoreConversations, search, showArchived,
} from "../conversations.js";
import { afterDrawing, changed, state } from "../store.js";
import { openConversation } from "../talking.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { ago, wholeTime } from "../words.js";
import { icon, iconButton } from "./icons.js";
import { menu } from "./menu.js";
import { showPanel } from "./panels.js";

export function sidebar() {
  const { query } = state.search;
  return html`
    <header class="side-head">
      <a class="brand" href="#/" @click=${begin}>${icon("check")}<span>taskchat</span></a>
      <span class="only-narrow">${iconButton("close", "Close the conversations", () => showPanel(null))}</span>
    </header>
    <a class="new button" href="#/" @click=${begin}>${icon("plus")}New conversation</a>
    <div class="search" role="search">
      ${icon("search")}
      <input id="search" type="search" aria-label="Search messages, conversations and tasks" placeholder="Search"
        autocomplete="off" .value=${live(query)} @input=${(event) => search(event.target.value)}
        @keydown=${(event) => event.key === "Escape" && search("")}>
    </div>
    <div class="scroll">${state.search.results === null && !query.trim() ? list() : results()}</div>
    <footer class="side-foot">${account()}</footer>`;
}

function begin() {
  // The address may be that of a new conversation already.
  if (location.hash === "#/" || !location.hash) openConversation(null);
  state.panel = null;
  afterDrawing(() => document.getElementById("message")?.focus());
}

function list() {
  const { list: shown, next, loading, archived, problem } = state.conversations;
  return html`
    <div class="list-head">
      <h2>${archived ? "Archived" : "Conversations"}</h2>
      <button type="button" class="plain small" @click=${() => showArchived(!archived)}>${archived ? "Back" : "Archived"}</button>
    </div>
    ${problem ? problemLine(problem, loadConversations) : nothing}
    ${shown.length ? html`<ul class="conversations">${repeat(shown, (one) => one.id, row)}</ul>`
      : loading || problem ? nothing : html`<p class="empty">${archived ? "Nothing is archived." : "What you talk about is listed here."}</p>`}
    ${next ? html`<button type="button" class="plain wide" @click=${loadMoreConversations}>Show more</button>` : nothing}`;
}

const row = ({ id, title, status, updated_at: at }) => html`
  <li>
    <a href="#/c/${id}" aria-current=${state.thread?.id === id ? "page" : nothing} @click=${() => (state.panel = null)}>
      <span class="title">${title ?? "New conversation"}</span>
      <span class="about">
        ${status === "active" ? nothing : html`<span class="badge">${status}</span>`}
        <time datetime=${at} title=${wholeTime(at)}>${ago(at)}</time>
      </span>
    </a>
  </li>`;

function results() {
  const { results: found, corrected, next, loading, problem } = state.search;
  return html`
    <div class="list-head"><h2>Found</h2>
      <button type="button" class="plain small" @click=${clear}>Clear</button></div>
    <div role="status">
      ${corrected ? html`<p class="hint">Nothing has these words. Shown is: <strong>${corrected}</strong></p>` : nothing}
      ${!found && loading ? html`<p class="empty">Searching …</p>` : nothing}
      ${found && !found.length && !loading ? html`<p class="empty">Nothing was found. Fewer or other words may help.</p>` : nothing}
    </div>
    ${problem ? problemLine(problem, findMore) : nothing}
    ${found?.length ? html`<ul class="conversations found">${found.map(hit)}</ul>` : nothing}
    ${next ? html`<button type="button" class="plain wide" @click=${findMore}>Show more</button>` : nothing}`;
}

function clear() {
  search("");
  document.getElementById("search").focus();
}

const KINDS = { message: "", conversation: "Title", task: "Task" };

const hit = (one) => html`
  <li>
    <a href=${one.conversation_id ? `#/c/${one.conversation_id}` : "#/"} @click=${(event) => follow(event, one)}>
      <span class="title">${KINDS[one.kind] ? html`<span class="badge">${KINDS[one.kind]}</span> ` : nothing}${one.title ?? "New conversation"}</span>
      <span class="excerpt">${one.excerpt.map(({ text, match }) => (match ? html`<mark>${text}</mark>` : text))}</span>
    </a>
  </li>`;

function follow(event, { kind, conversation_id: id, message_id: message, turn_id: turn, task_id: task }) {
  event.preventDefault();
  if (kind === "task") {
    state.tasks.filter = "all";
    showPanel("tasks");
    afterDrawing(() => document.getElementById(`task-${task}`)?.focus());
    return;
  }
  state.panel = null;
  if (location.hash !== `#/c/${id}`) history.pushState(null, "", `#/c/${id}`);
  openConversation(id, kind === "message" ? { message, turn } : null);
}

// While the line to the service is gone, that is said once, above the conversation.
const problemLine = (problem, again) => (state.line.status === "offline" ? nothing : html`
  <p class="problem" role="alert">${icon("problem")}<span>${problem}</span>
    <button type="button" class="plain small" @click=${() => again()}>Try again</button></p>`);

function account() {
  const { session } = state;
  const items = [
    { icon: "copy", label: "Copy the token", run: () => copy(session.token, "The token is copied. Whoever has it is you.") },
    { icon: "save", label: "Export everything", run: () => open({ kind: "export", id: null }) },
    { icon: "info", label: "Keyboard", run: () => open({ kind: "keys" }) },
    { icon: "out", label: "Sign out", run: signOut },
  ];
  const name = session.kind === "own" ? `${session.userId} · this machine` : session.userId;
  return html`${icon("person")}<span class="who" title=${session.userId}>${name}</span>${menu("account", "Account", items)}`;
}

function open(dialog) {
  state.dialog = dialog;
  changed();
}

