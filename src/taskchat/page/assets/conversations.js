// The list of conversations, what is found by searching, and what is done to one of them.

import { attempt, here, soon } from "./here.js";
import { changed, state, toast } from "./store.js";

const PAGE = 50;
const PAGE_MAX = 200;
const SEARCH_MS = 250; // after the last key

/** Read the list anew, as far as it was read. */
export async function loadConversations() {
  const list = state.conversations;
  list.loading = true;
  changed();
  try {
    const limit = Math.min(Math.max(list.list.length, PAGE), PAGE_MAX);
    const page = await here.api.get("/conversations", { limit, archived: list.archived });
    Object.assign(list, { list: page.data, next: page.next_cursor, problem: "" });
  } catch (problem) {
    list.problem = problem.message;
  }
  list.loading = false;
  changed();
}

export const conversationsMayDiffer = soon(() => here.api && loadConversations(), 300);

export const loadMoreConversations = () => attempt(async () => {
  const list = state.conversations;
  const query = { limit: PAGE, after: list.next, archived: list.archived };
  const page = await here.api.get("/conversations", query);
  const known = new Set(list.list.map((one) => one.id));
  list.list.push(...page.data.filter((one) => !known.has(one.id)));
  list.next = page.next_cursor;
  changed();
});

export function showArchived(archived) {
  state.conversations.archived = archived;
  return loadConversations();
}

/** Change a conversation's title, status, or whether it is archived. */
export const changeConversation = (id, changes) => attempt(async () => {
  const about = await here.api.patch(`/conversations/${id}`, changes);
  if (state.thread?.id === id) state.thread.about = about;
  await loadConversations();
  return about;
});

export const deleteConversation = (id) => attempt(async () => {
  await here.api.delete(`/conversations/${id}`);
  if (state.thread?.id === id) location.hash = "#/";
  await loadConversations();
  toast("The conversation is deleted.");
});

// --- searching ---

let searching = 0;
let timer;

export function search(query) {
  Object.assign(state.search, { query, problem: "" });
  clearTimeout(timer);
  if (query.trim()) timer = setTimeout(find, SEARCH_MS);
  else state.search.results = null;
  changed();
}

async function find(after = null) {
  const mine = ++searching;
  state.search.loading = true;
  changed();
  try {
    const found = await here.api.get("/search", { q: state.search.query, after });
    // Another search was begun meanwhile.
    if (mine !== searching || !state.search.query.trim()) return;
    const before = after ? state.search.results : [];
    Object.assign(state.search, {
      results: [...before, ...found.data], corrected: found.corrected, next: found.next_cursor, problem: "",
    });
  } catch (problem) {
    if (mine === searching) state.search.problem = problem.message;
  } finally {
    if (mine === searching) state.search.loading = false;
    changed();
  }
}

export const findMore = () => find(state.search.next);

// --- exporting and sharing ---

const ENDINGS = { markdown: "md", json: "json", jsonl: "jsonl" };

/** Save an export as a file; of one conversation, or of all that the user has. */
export const exportAs = (format, id = null) => attempt(async () => {
  const path = id ? `/conversations/${id}/export` : "/export";
  const answer = await here.api.send(`${path}?format=${format}`, { headers: { Accept: "*/*" } });
  const named = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
  const address = URL.createObjectURL(await answer.blob());
  const link = Object.assign(document.createElement("a"), {
    href: address, download: named?.[1] ?? `export.${ENDINGS[format]}`,
  });
  link.click();
  URL.revokeObjectURL(address);
  toast("The export is saved.");
});

export const linkAddress = (token) => `${location.origin}/#/share/${token}`;

export const openShares = (id) => attempt(async () => {
  state.dialog = { kind: "share", id, links: null, made: null };
  changed();
  const { data } = await here.api.get(`/conversations/${id}/shares`);
  if (state.dialog?.kind === "share") state.dialog.links = data;
  changed();
});

export const makeShare = (id, hours, withToolCalls) => attempt(async () => {
  const body = { expires_in_h: hours, with_tool_calls: withToolCalls };
  const made = await here.api.post(`/conversations/${id}/shares`, body);
  if (state.dialog?.kind !== "share") return;
  state.dialog.made = made;
  state.dialog.links = [made, ...(state.dialog.links ?? [])];
  changed();
});

export const revokeShare = (id, shareId) => attempt(async () => {
  await here.api.delete(`/conversations/${id}/shares/${shareId}`);
  if (state.dialog?.kind !== "share") return;
  state.dialog.links = state.dialog.links.filter((link) => link.id !== shareId);
  if (state.dialog.made?.id === shareId) state.dialog.made = null;
  changed();
});

/** Put a text where it can be pasted. */
export const copy = (text, told) => attempt(async () => {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    throw new Error("The browser does not let this page copy. Select the text, and copy it by hand.");
  }
  toast(told);
});
