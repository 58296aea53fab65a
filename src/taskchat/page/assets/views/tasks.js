// The task list: it changes as the agent changes it, and can be changed here.

import { afterDrawing, changed, state } from "../store.js";
import { addTask, changeTask, deleteTask, loadTasks } from "../tasks.js";
import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { icon, iconButton } from "./icons.js";
import { showPanel } from "./panels.js";

const FILTERS = { all: "All", pending: "Open", completed: "Done" };
const FITS = { all: () => true, pending: (task) => !task.completed, completed: (task) => task.completed };

export function taskList() {
  const { list, filter, problem } = state.tasks;
  const shown = (list ?? []).filter(FITS[filter]);
  const open = (list ?? []).filter(FITS.pending).length;
  return html`
    <header class="side-head">
      <h2>Tasks</h2>
      ${list?.length ? html`<span class="hint">${open} open</span>` : nothing}
      <span class="only-unwide">${iconButton("close", "Close the tasks", () => showPanel(null))}</span>
    </header>
    <form class="add" @submit=${add}>
      <label class="unseen" for="new-task">New task</label>
      <input id="new-task" name="title" placeholder="Add a task" maxlength="200" autocomplete="off" required>
      ${html`<button class="icon-button" aria-label="Add the task" title="Add the task">${icon("plus")}</button>`}
    </form>
    <div class="filters" role="group" aria-label="Which tasks are shown">${Object.entries(FILTERS).map(([name, label]) => html`
      <button type="button" aria-pressed=${name === filter ? "true" : "false"} @click=${() => show(name)}>${label}</button>`)}</div>
    ${problem ? html`<p class="problem" role="alert">${icon("problem")}<span>${problem}</span>
      <button type="button" class="plain" @click=${loadTasks}>Try again</button></p>` : nothing}
    <div class="scroll">
      ${shown.length ? html`<ul class="task-list">${repeat(shown, (task) => task.id, row)}</ul>` : list ? emptiness(list, filter) : nothing}
    </div>`;
}

const emptiness = (list, filter) => html`
  <div class="empty">${list.length ? html`<p>${filter === "pending" ? "Everything is done." : "Nothing is done yet."}</p>`
    : html`<p>Nothing to do.</p><p>Add a task here, or tell the assistant.</p>`}</div>`;

function row(task) {
  return html`
    <li class="task ${task.completed ? "done" : ""}">
      ${state.tasks.editing === task.id ? form(task) : shownTask(task)}
    </li>`;
}

const shownTask = (task) => html`
  <label class="tick">
    <input type="checkbox" .checked=${live(task.completed)} @change=${(event) => changeTask(task.id, { completed: event.target.checked })}>
    <span class="unseen">Done: ${task.title}</span>
  </label>
  <div class="words" @click=${() => edit(task)}>
    <p class="title"><span class="number">${task.id}</span> <button type="button" id="task-${task.id}" aria-label="Edit ${task.title}">${task.title}</button></p>
    ${task.description ? html`<p class="description">${task.description}</p>` : nothing}
  </div>
  ${iconButton("trash", `Delete ${task.title}`, () => remove(task))}`;

const form = (task) => html`
  <form class="edit" @submit=${(event) => save(event, task)} @keydown=${(event) => event.key === "Escape" && edit(null)}>
    <label>Title<input name="title" id="edited-task" maxlength="200" required autocomplete="off" .value=${task.title}></label>
    <label>Description<textarea name="description" rows="2" maxlength="2000" .value=${task.description}></textarea></label>
    <div class="buttons">
      <button type="button" class="button small" @click=${() => edit(null)}>Leave it</button>
      <button class="primary small">Save</button>
    </div>
  </form>`;

function show(filter) {
  state.tasks.filter = filter;
  changed();
}

function edit(task) {
  const before = state.tasks.editing;
  state.tasks.editing = task?.id ?? null;
  const id = task ? "edited-task" : `task-${before}`;
  afterDrawing(() => document.getElementById(id)?.focus());
}

/** Delete a task; the focus goes to the one that takes its place. */
function remove(task) {
  const shown = state.tasks.list.filter(FITS[state.tasks.filter]);
  const place = shown.findIndex(({ id }) => id === task.id);
  const next = shown[place + 1] ?? shown[place - 1];
  deleteTask(task.id);
  afterDrawing(() => document.getElementById(next ? `task-${next.id}` : "new-task")?.focus());
}

function save(event, task) {
  event.preventDefault();
  const { title, description } = event.target;
  const changes = {};
  if (title.value.trim() !== task.title) changes.title = title.value;
  if (description.value !== task.description) changes.description = description.value;
  if (Object.keys(changes).length) changeTask(task.id, changes);
  edit(null);
}

async function add(event) {
  event.preventDefault();
  const field = event.target.title;
  const title = field.value;
  field.value = "";
  if (!(await addTask(title)) && !field.value) field.value = title;
}
