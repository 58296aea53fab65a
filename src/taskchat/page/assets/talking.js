// Talking in the conversation that is shown: saying, steering, stopping, answering, rating, versions.

import { conversationsMayDiffer } from "./conversations.js";
import { attempt, here } from "./here.js";
import { Line } from "./line.js";
import { changed, speak, state, toast } from "./store.js";
import { tasksMayDiffer } from "./tasks.js";
import { Thread } from "./thread.js";
import { toolWords } from "./words.js";

const PAGE = 50;
const PAGES_BACK_MAX = 40; // that are read to find a message of long ago

/** Show a conversation, or a new one; aim: { message, turn } to bring into view. */
export function openConversation(id, aim = null) {
  if (state.thread && state.thread.id === id && !aim) return;
  state.panel = null;
  state.editing = null;
  if (state.thread?.id === id && id) {
    if (aim) find(state.thread, aim);
    return;
  }
  here.line?.retire();
  const thread = new Thread(id);
  Object.assign(state, { thread, waiting: [] });
  follow(thread);
  if (aim) find(thread, aim);
  changed();
}

function follow(thread) {
  Object.assign(state.line, { status: "connecting", text: "" });
  here.line = new Line({
    session: state.session,
    conversation: thread.id,
    place: () => thread.place,
    hear: (frame) => hear(thread, frame),
    tell: (status, text) => {
      if (state.thread !== thread) return;
      if (status === "online" && state.line.status === "offline") {
        speak("Connected again.");
        conversationsMayDiffer();
        tasksMayDiffer();
      }
      if (status === "offline" && state.line.status === "online") speak("The connection is gone.");
      Object.assign(state.line, { status, text });
      // What can't be followed may be read, or else it is told why not.
      if (status === "refused" && thread.id && !thread.isRead) read(thread);
      changed();
    },
  });
}

/** Read what was said: the newest page, and how turns ended of which that says nothing. */
async function read(thread, unfinished = []) {
  const shownThen = [...thread.order];
  const path = `/conversations/${thread.id}`;
  try {
    const [about, page] = await Promise.all([
      here.api.get(path),
      here.api.get(`${path}/messages`, { before: "end", limit: PAGE }),
    ]);
    thread.about = about;
    thread.takeNewest(page, shownThen);
    thread.problem = "";
    for (const turn of thread.unanswered(unfinished)) {
      thread.takeTurn(await here.api.get(`/turns/${turn.id}`));
    }
  } catch (problem) {
    thread.problem = problem.message;
    thread.isMissing = problem.code === "not_found";
  }
  changed();
}

export const readEarlier = (thread) => attempt(async () => {
  if (!thread.earlier || thread.isReadingEarlier) return;
  thread.isReadingEarlier = true;
  changed();
  try {
    const query = { before: thread.earlier, limit: PAGE };
    thread.takeEarlier(await here.api.get(`/conversations/${thread.id}/messages`, query));
  } finally {
    thread.isReadingEarlier = false;
    changed();
  }
});

/** Bring a message into view, reading back to it. One of another branch shows that branch. */
async function find(thread, { message, turn }) {
  if (!thread.isRead) await read(thread);
  const isThere = () => thread.shown.some((one) => one.parts.some((part) => part.id === message));
  for (let page = 0; page < PAGES_BACK_MAX && !isThere() && thread.earlier; page++) await readEarlier(thread);
  if (!isThere()) await showBranch(turn);
  thread.aim = message;
  changed();
}

async function hear(thread, frame) {
  if (frame.seq) happened(thread, frame);
  else if (frame.type === "connection") {
    const [unfinished] = frame.unfinished_turns;
    if (unfinished && !thread.place) here.line.send({ type: "resume", turn_id: unfinished, after_seq: 0 });
    // Whatever happened while nobody followed, in whichever tab, is read.
    if (frame.conversation_id) read(thread, frame.unfinished_turns);
  } else if (frame.type === "session_ended") {
    if (thread.about) thread.about.status = "ended";
  } else if (frame.type === "rate_limit_exceeded") {
    if (state.waiting.length) state.waiting[0].isLimited = true;
    toast(`${frame.error} It is sent by itself in ${Math.max(1, Math.ceil(frame.retry_after))} s.`);
  } else if (frame.type === "error" && !frame.reply_to) {
    toast(frame.error, { kind: "problem" });
  }
  changed();
}

function happened(thread, event) {
  const turn = thread.hear(event);
  if (!turn || state.thread !== thread) return;
  if (event.type === "turn_started") {
    // It may be told before its acknowledgment.
    const [first] = state.waiting;
    if (first?.content === event.content) state.waiting = state.waiting.slice(1);
    conversationsMayDiffer();
  }
  if (event.type === "tool_call") speak(`${toolWords(event.tool_name)} …`);
  if (event.type === "tool_result") tasksMayDiffer();
  if (event.type === "feedback_request") speak(event.question);
  if (event.type === "assistant") speak(`Assistant: ${event.content}`);
  if (event.type === "error") speak(event.error);
  const isOver = event.type === "turn_completed" || event.type === "error";
  if (isOver) conversationsMayDiffer();
  // How many versions there are is told by messages.
  if (turn.root !== null && (isOver || event.type === "turn_started")) read(thread, [turn.id]);
}

// --- saying something ---

/** Send what was written; it is shown as waiting until that is acknowledged, and not lost if it is refused. */
async function sent(content, send) {
  const said = { key: crypto.randomUUID(), content };
  state.waiting = [...state.waiting, said];
  state.thread.isFollowed = true;
  changed();
  try {
    await send(said.key);
  } catch (problem) {
    toast(problem.message, { kind: "problem", action: { label: "Put it back", run: () => putBack(content) } });
  }
  state.waiting = state.waiting.filter((one) => one !== said);
  changed();
}

/** Say something as a turn of its own; if others run or wait, it comes after them. */
export const say = (content) => sent(content, async (key) => {
  const { thread } = state;
  const { conversation_id: id } = await here.line.ask({ type: "message", content, idempotency_key: key });
  if (!thread.id) {
    thread.id = id;
    if (state.thread === thread) history.replaceState(null, "", `#/c/${id}`);
    read(thread, [...thread.order]);
  }
});

/** Give a text back to whoever wrote it. */
export function putBack(content) {
  const field = document.getElementById("message");
  field.value = field.value ? `${field.value}\n${content}` : content;
  field.focus();
}

/** Say something to the turn that is under way. */
export const steer = (turn, content) => sent(content, async (key) => {
  const { thread } = state;
  const frame = { type: "steer", turn_id: turn.id, content, idempotency_key: key };
  const { steered, message_id: id } = await here.line.ask(frame);
  if (steered) thread.steered(turn.id, id, content);
  else toast("The turn had ended; your message began the next one.");
});

/** Stop a turn, or withdraw one that waits. */
export const stop = (turn) => attempt(async () => {
  try {
    await here.line.ask({ type: "cancel", turn_id: turn.id });
  } catch (problem) {
    // It ended by itself a moment ago.
    if (problem.code !== "TURN_NOT_CANCELLABLE") throw problem;
  }
});

/** Answer what the agent asks; given: { answer, comment?, calls? }. */
export const respond = (ask, given) => attempt(async () => {
  // The buttons stay as they are, or they would lose the focus.
  if (ask.isBusy) return;
  ask.isBusy = true;
  changed();
  try {
    await here.line.ask({ type: "feedback_response", feedback_id: ask.id, ...given });
  } finally {
    ask.isBusy = false;
    changed();
  }
});

// --- messages that are there ---

export const rate = (turn, part, value, comment = null) => attempt(async () => {
  const note = turn.notes.get(part.id) ?? { versions: [] };
  const path = `/messages/${part.id}/rating`;
  if (value === null) await here.api.delete(path);
  else await here.api.put(path, { value, ...(comment && { comment }) });
  turn.notes.set(part.id, { ...note, rating: value && { value, comment } });
  changed();
});

/** Ask for another version. The stream is not read: the line tells what happens. */
async function begin(method, path, body) {
  const leaving = new AbortController();
  const headers = { Accept: "text/event-stream", "Idempotency-Key": crypto.randomUUID() };
  await here.api.send(path, { method, body, headers, signal: leaving.signal });
  leaving.abort();
}

export const regenerate = (part) => attempt(() => begin("POST", `/messages/${part.id}/regenerate`));

export async function reword(part, text) {
  const done = await attempt(async () => {
    await begin("PUT", `/messages/${part.id}`, { message: text });
    return true;
  });
  if (done) state.editing = null;
  changed();
}

/** Show the branch that holds a turn. */
export const showBranch = (turnId) => attempt(async () => {
  const { thread } = state;
  thread.about = await here.api.patch(`/conversations/${thread.id}`, { branch: turnId });
  thread.order = [];
  thread.earlier = null;
  await read(thread, thread.shown.map((turn) => turn.id));
});

/** Show what a turn did and cost, as its own address tells it. */
export const openDetails = (turnId) => attempt(async () => {
  state.dialog = { kind: "details", turn: await here.api.get(`/turns/${turnId}`) };
  changed();
});
