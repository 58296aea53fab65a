// What the page knows, in one object, and when it is drawn again. Whoever changes it says so.

const options = document.documentElement.dataset;

export const service = {
  accounts: options.accounts === "true",
  signsIn: options.signsIn === "true",
  messageCharsMax: Number(options.messageCharsMax),
};

export const state = {
  session: null, // { userId, kind } once somebody is signed in
  signIn: { mode: service.accounts ? "login" : "token", busy: false, problem: "", trying: service.signsIn },
  conversations: { list: [], next: null, archived: false, loading: false, problem: "" },
  search: { query: "", results: null, corrected: null, next: null, loading: false, problem: "" },
  thread: null, // the conversation that is shown: see thread.js
  line: { status: "connecting", text: "" }, // the connection that follows it: see line.js
  waiting: [], // what was said and is not acknowledged: { key, content }
  tasks: { list: null, filter: "all", problem: "", editing: null },
  editing: null, // the message that is being reworded: { id, text }
  link: null, // a conversation that is read by a link
  dialog: null, // { kind, ... }
  panel: null, // on narrow screens: "conversations" or "tasks"
  toast: null, // { text, kind, action }
  spoken: "", // what a screen reader is told next
};

let draw = () => {};
let isDue = false;
let drawn = [];

/** Draw after every change; several changes at once are drawn once. */
export function drawnBy(drawing) {
  draw = drawing;
  changed();
}

/** Say that something in `state` is different now. */
export function changed() {
  if (isDue) return;
  isDue = true;
  nextFrame(() => {
    isDue = false;
    draw();
    const waiting = drawn;
    drawn = [];
    for (const work of waiting) work();
  });
}

const LATE_MS = 100; // a window that nobody sees gets no frames

/** Do something before the page is shown next, or a moment later if it is not seen at all. */
function nextFrame(work) {
  const begin = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    work();
  };
  const frame = requestAnimationFrame(begin);
  const timer = setTimeout(begin, LATE_MS);
}

/** Do something once what has just changed is drawn. */
export function afterDrawing(work) {
  changed();
  drawn.push(work);
}

let toastTimer;

/** Tell something in passing. kind: "info" or "problem"; action: { label, run }. */
export function toast(text, { kind = "info", action = null } = {}) {
  clearTimeout(toastTimer);
  state.toast = { text, kind, action };
  // A problem stays until it is put away: it may say what to do.
  if (kind !== "problem") toastTimer = setTimeout(dismissToast, 6000);
  changed();
}

export function dismissToast() {
  state.toast = null;
  changed();
}

/** Tell a screen reader, and only it. */
export function speak(text) {
  state.spoken = text;
  changed();
}
