// The whole of what is seen: the frame, and what stands above it.

import { dismissToast, service, state } from "../store.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { chat } from "./chat.js";
import { canWrite } from "./composer.js";
import { dialog } from "./dialogs.js";
import { icon, iconButton } from "./icons.js";
import { sharedConversation } from "./link.js";
import { showPanel } from "./panels.js";
import { sidebar } from "./sidebar.js";
import { signIn } from "./signin.js";
import { taskList } from "./tasks.js";

export function page() {
  document.title = titleOf();
  return html`${content()}${toastView()}`;
}

function content() {
  if (state.link) return sharedConversation();
  if (state.session) return frame();
  return service.signsIn && state.signIn.trying
    ? html`<main class="opening"><h1>taskchat</h1><p>Signing in …</p></main>`
    : signIn();
}

const titleOf = () => {
  const title = state.link?.about?.title ?? state.thread?.about?.title;
  return title ? `${title} · taskchat` : "taskchat";
};

function frame() {
  const { panel } = state;
  return html`
    ${canWrite(state.thread) && !panel ? html`<a class="skip" href="#message" @click=${toField}>To the message field</a>` : nothing}
    <div class="frame" data-panel=${panel ?? "none"}>
      <nav class="side" aria-label="Conversations" ?inert=${isCovered("tasks")}>${sidebar()}</nav>
      <main class="middle" ?inert=${isCovered("conversations") || isCovered("tasks")}>${chat()}</main>
      <aside class="side tasks" aria-label="Tasks" ?inert=${isCovered("conversations")}>${taskList()}</aside>
      ${panel ? html`<div class="shade" @click=${closePanel}></div>` : nothing}
    </div>
    ${dialog()}`;
}

// Where a panel lies over the rest, that can't be reached.
const isCovered = (panel) => state.panel === panel;

function toField(event) {
  event.preventDefault();
  document.getElementById("message")?.focus();
}

function closePanel() {
  showPanel(null);
}

const toastView = () => html`
  <div class="toasts" role=${state.toast?.kind === "problem" ? "alert" : "status"}>
    ${state.toast ? html`
      <div class="toast ${state.toast.kind}">
        ${icon(state.toast.kind === "problem" ? "problem" : "info")}
        <p>${state.toast.text}</p>
        ${state.toast.action ? html`<button type="button" class="plain" @click=${act}>${state.toast.action.label}</button>` : nothing}
        ${iconButton("close", "Put this notice away", dismissToast)}
      </div>` : nothing}
  </div>`;

function act() {
  state.toast.action.run();
  dismissToast();
}
