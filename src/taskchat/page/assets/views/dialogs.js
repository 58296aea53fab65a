// What is asked or shown above the page: one dialog at a time, which the browser keeps the focus in.

import {
  changeConversation, copy, deleteConversation, exportAs, linkAddress, makeShare, revokeShare,
} from "../conversations.js";
import { changed, state, toast } from "../store.js";
import { rate } from "../talking.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { ago, countOf, duration, wholeTime } from "../words.js";
import { icon, iconButton } from "./icons.js";

const DIALOGS = {
  rename: { title: "Rename", view: rename },
  delete: { title: "Delete this conversation?", view: confirmDeletion },
  end: { title: "End this conversation?", view: confirmEnd },
  export: { title: "Export", view: exporting },
  share: { title: "Share", view: sharing },
  comment: { title: "What was wrong?", view: comment },
  details: { title: "This turn", view: details },
  keys: { title: "Keyboard", view: keys },
};

export function dialog() {
  const open = state.dialog;
  if (!open) return nothing;
  const { title, view } = DIALOGS[open.kind];
  return html`
    <dialog aria-labelledby="dialog-title" @close=${closed} @click=${closeOutside}>
      <div class="box">
        <div class="box-head"><h2 id="dialog-title">${title}</h2>${iconButton("close", "Close", close)}</div>
        ${view(open)}
      </div>
    </dialog>`;
}

/** Close it as the browser does, which gives the focus back to what had it. */
const close = () => document.querySelector("dialog").close();

function closed() {
  state.dialog = null;
  changed();
}

function closeOutside(event) {
  if (event.target.tagName === "DIALOG") close();
}

/** A form whose sending closes the dialog. */
const form = (content, label, run, kind = "primary") => html`
  <form @submit=${(event) => { event.preventDefault(); const given = event.target; close(); run(given); }}>
    ${content}
    <div class="buttons"><button type="button" class="button" @click=${close}>Leave it</button><button class=${kind}>${label}</button></div>
  </form>`;

function rename({ id, title }) {
  const field = html`<label>Title<input name="title" maxlength="200" required autocomplete="off" autofocus .value=${title}></label>`;
  return form(field, "Rename", (given) => changeConversation(id, { title: given.elements.title.value }));
}

function confirmDeletion({ id, title }) {
  const text = html`<p>“${title ?? "New conversation"}” is deleted for good, with all that was said in it. The tasks stay.</p>`;
  return form(text, "Delete", () => deleteConversation(id), "primary danger");
}

function confirmEnd({ id }) {
  const text = html`<p>It can still be read, but takes no more messages, for good.</p>`;
  return form(text, "End it", () => changeConversation(id, { status: "ended" }));
}

function comment({ turn, part }) {
  const field = html`<label>Your comment<textarea name="comment" rows="3" required autofocus></textarea></label>`;
  return form(field, "Send", async (given) => {
    await rate(turn, part, "down", given.elements.comment.value);
    toast("Thank you.");
  });
}

const FORMATS = [
  ["markdown", "Markdown", "to be read"],
  ["json", "JSON", "one object, for programs"],
  ["jsonl", "JSON lines", "can be imported again"],
];

function exporting({ id }) {
  return html`
  <p>${id ? "This conversation, whole, as a file." : "All that you have here, as a file: conversations, tasks, usage."}</p>
  <ul class="choices">${FORMATS.map(([format, name, what]) => html`
    <li><button type="button" class="button" @click=${() => { close(); exportAs(format, id); }}>
      ${icon("save")}<span>${name} <span class="hint">${what}</span></span></button></li>`)}</ul>`;
}

const HOURS = [[1, "an hour"], [24, "a day"], [168, "a week"], [720, "30 days"]];

function sharing({ id, links, made }) {
  return html`
    <p>Whoever has the link reads this conversation as it is now, without signing in. What is said later is not in it.</p>
    <form @submit=${(event) => share(event, id)}>
      <label>The link ends after<select name="hours">${HOURS.map(([hours, words]) => html`<option value=${hours} ?selected=${hours === 168}>${words}</option>`)}</select></label>
      <label class="tick"><input type="checkbox" name="calls"> Show tool calls as well</label>
      <div class="buttons"><button class="primary">${icon("share")}Make a link</button></div>
    </form>
    ${made ? html`
      <div class="made" role="status">
        <label>Copy it now; it is not shown again<input readonly .value=${linkAddress(made.token)} @focus=${(event) => event.target.select()}></label>
        <button type="button" class="button" @click=${() => copy(linkAddress(made.token), "The link is copied.")}>${icon("copy")}Copy</button>
      </div>` : nothing}
    ${links?.length ? html`
      <h3>${countOf(links.length, "good link")}</h3>
      <ul class="links">${links.map((link) => html`
        <li><span>${countOf(link.turns, "turn")}${link.with_tool_calls ? ", with tool calls" : ""} · ends ${ago(link.expires_at)}</span>
          <button type="button" class="button small danger" @click=${() => revokeShare(id, link.id)}>Revoke</button></li>`)}</ul>` : nothing}`;
}

function share(event, id) {
  event.preventDefault();
  const { hours, calls } = event.target.elements;
  makeShare(id, Number(hours.value), calls.checked);
}

function details({ turn }) {
  const took = turn.finished_at && Date.parse(turn.finished_at) - Date.parse(turn.started_at ?? turn.created_at);
  const rows = [
    ["Status", turn.status],
    ["Model", turn.model ?? "–"],
    ["Began", wholeTime(turn.created_at)],
    ["Took", took === null ? "–" : duration(took)],
    ["Channel", turn.channel],
    ["Model calls", turn.usage?.model_calls ?? turn.model_calls.length],
    ["Tokens", turn.usage ? `${turn.usage.input_tokens} in, ${turn.usage.output_tokens} out` : "–"],
    ["Cost", turn.cost === null ? "not known" : `$${turn.cost}`],
    ["Turn", turn.id],
    ["Conversation", turn.conversation_id],
  ];
  return html`<dl class="facts">${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

const KEYS = [
  ["Enter", "send; while a turn runs, say it to that turn"],
  ["Shift Enter", "a new line"],
  ["Ctrl Enter", "while a turn runs: send it as the next message"],
  ["Ctrl K", "search"],
  ["Ctrl Alt N", "a new conversation"],
  ["Escape", "close what is open, leave what is edited"],
];

function keys() {
  return html`<dl class="facts">${KEYS.map(([key, does]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${does}</dd></div>`)}</dl>`;
}
