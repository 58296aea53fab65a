// The task list beside the chat: read anew whenever it may have changed, and changed here by the
// same rules as by the agent.

import { tellTabs } from "./account.js";
import { attempt, here, soon } from "./here.js";
import { changed, speak, state } from "./store.js";

const PAGE = 200;

let reading = null;
let isStale = false;

/** Read the tasks. One reading at a time: what changes during one is read by the next. */
export function loadTasks() {
  isStale = true;
  reading ??= read().finally(() => (reading = null));
  return reading;
}

async function read() {
  while (isStale && here.api) {
    isStale = false;
    try {
      const list = [];
      let after = null;
      do {
        const page = await here.api.get("/tasks", { limit: PAGE, after });
        list.push(...page.data);
        after = page.next_cursor;
      } while (after);
      Object.assign(state.tasks, { list, problem: "" });
    } catch (problem) {
      state.tasks.problem = problem.message;
    }
    changed();
  }
}

export const tasksMayDiffer = soon(() => here.api && loadTasks(), 50);

async function change(work) {
  const done = await attempt(work);
  tellTabs();
  await loadTasks();
  return done;
}

export const addTask = (title) => change(async () => {
  const task = await here.api.post("/tasks", { title });
  speak(`Added ${task.title}`);
  return task;
});

/** Changes: title, description or completed; shown at once, and mended if they are refused. */
export function changeTask(id, changes) {
  const shown = state.tasks.list.find((task) => task.id === id);
  if (shown) Object.assign(shown, changes);
  changed();
  return change(() => here.api.patch(`/tasks/${id}`, changes));
}

export function deleteTask(id) {
  const { title } = state.tasks.list.find((task) => task.id === id);
  state.tasks.list = state.tasks.list.filter((task) => task.id !== id);
  changed();
  return change(async () => {
    await here.api.delete(`/tasks/${id}`);
    speak(`Deleted ${title}`);
  });
}
