// A conversation that somebody shared: read by its link, without being signed in.

import { ask } from "./api.js";
import { changed, state } from "./store.js";

/** Read what a link shows, and show it. */
export async function readLink(token, after = null) {
  const link = state.link?.token === token ? state.link : { token, about: null, messages: [], next: null, problem: "" };
  state.link = link;
  changed();
  const query = new URLSearchParams({ limit: 100, ...(after && { after }) });
  try {
    const page = await (await ask(`/share/${encodeURIComponent(token)}?${query}`)).json();
    link.about = page;
    link.messages = after ? [...link.messages, ...page.data] : page.data;
    link.next = page.next_cursor;
  } catch (problem) {
    link.problem = problem.code === "not_found" ? "This link shows nothing any more: it has ended, or never was one." : problem.message;
  }
  changed();
}
