// Signing in and out, and the address that says what is shown: #/c/{conversation}, #/share/{token}.

import { apiOf } from "./api.js";
import { loadConversations } from "./conversations.js";
import { here } from "./here.js";
import { readLink } from "./link.js";
import { accountSession, ownSession, tokenSession } from "./session.js";
import { afterDrawing, changed, service, state } from "./store.js";
import { openConversation } from "./talking.js";
import { loadTasks } from "./tasks.js";
import { toWriting } from "./views/scrolling.js";

const TASKS = "tasks";
const tabs = new BroadcastChannel("taskchat");

/** Show what the address says, signed in where that needs no question. */
export async function start() {
  window.addEventListener("hashchange", showPlace);
  window.addEventListener("beforeunload", (event) => {
    // What is not acknowledged is nowhere else.
    if (state.waiting.length || document.getElementById("message")?.value.trim()) event.preventDefault();
  });
  // Other tabs tell that tasks changed; not how, so that nothing is told to another user's tab.
  tabs.onmessage = ({ data }) => data === TASKS && here.api && loadTasks();
  document.addEventListener("visibilitychange", comeBack);
  window.addEventListener("online", comeBack);
  if (placeOf(location.hash).link) return showPlace();
  if (service.signsIn) await signIn(() => ownSession(signedOut), { quietly: true });
  state.signIn.trying = false;
  changed();
}

export const tellTabs = () => tabs.postMessage(TASKS);

function comeBack() {
  if (document.hidden || !here.api) return;
  here.line?.wake();
  loadTasks();
  loadConversations();
}

async function signIn(begin, { quietly = false } = {}) {
  Object.assign(state.signIn, { busy: true, problem: "" });
  changed();
  try {
    const session = await begin();
    state.session = session;
    here.api = apiOf(session);
    showPlace();
    loadConversations();
    loadTasks();
  } catch (problem) {
    if (!quietly) state.signIn.problem = problem.message;
  }
  state.signIn.busy = false;
  afterDrawing(() => (state.session ? toWriting() : document.querySelector(".card :is(input, textarea)")?.focus()));
}

export const signInByAccount = (what, email, password) =>
  signIn(() => accountSession(what, email, password, signedOut));

export const signInByToken = (text) => signIn(() => tokenSession(text, signedOut));

export const signInByItself = () => signIn(() => ownSession(signedOut));

export async function signOut() {
  const { session } = state;
  signedOut();
  await session.close();
}

function signedOut() {
  here.line?.close();
  here.line = here.api = null;
  Object.assign(state, {
    session: null, thread: null, waiting: [], dialog: null, panel: null, editing: null,
    conversations: { list: [], next: null, archived: false, loading: false, problem: "" },
    search: { query: "", results: null, corrected: null, next: null, loading: false, problem: "" },
    tasks: { list: null, filter: "all", problem: "", editing: null },
  });
  changed();
}

function placeOf(hash) {
  const [, kind, id] = hash.split("/");
  if (kind === "share") return { conversation: null, link: decodeURIComponent(id) };
  return { conversation: kind === "c" ? decodeURIComponent(id) : null, link: null };
}

function showPlace() {
  const { conversation, link } = placeOf(location.hash);
  if (link) return readLink(link);
  state.link = null;
  if (here.api) openConversation(conversation);
  changed();
}
