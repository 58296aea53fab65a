// What has to be measured or moved after the page is drawn: scrolling, dialogs, fields that take the focus.

import { changed, state } from "../store.js";

const NEAR_PX = 80; // so close to the end, what is new is followed

let isShort; // whether the whole page scrolls, because the window is too low for a list of its own
const scroller = () => {
  isShort ??= matchMedia("(max-height: 30rem)");
  return isShort.matches ? document.scrollingElement : document.querySelector(".messages");
};

/** Somebody has scrolled: follow what is new only from the end. */
export function scrolled() {
  const { thread } = state;
  const list = scroller();
  if (!thread || !list) return;
  const isFollowed = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_PX;
  if (isFollowed === thread.isFollowed) return;
  thread.isFollowed = isFollowed;
  changed();
}

export function toNewest() {
  state.thread.isFollowed = true;
  changed();
}

const OVER = `dialog[open], [data-panel="conversations"] nav.side, [data-panel="tasks"] aside.side`;

/**
 * Put the focus where messages are written; by touch only near it, or a keyboard would come up. Where
 * something lies over that, into it.
 */
export function toWriting() {
  const over = [...document.querySelectorAll(OVER)].at(-1);
  if (over) {
    over.querySelector("button")?.focus();
    return;
  }
  const hovers = matchMedia("(hover: hover)").matches;
  document.querySelector(hovers ? "#message" : ".messages")?.focus({ preventScroll: true });
}

let heightBefore = null; // of the list, while earlier messages are put in front of it

/** Keep in place what is seen, while something is put above it. */
export function holdStill() {
  const list = scroller();
  heightBefore = list.scrollHeight - list.scrollTop;
}

/** The page is drawn: open dialogs, and scroll to what is to be seen. */
export function settle() {
  for (const dialog of document.querySelectorAll("dialog:not([open])")) dialog.showModal();
  const { thread } = state;
  const list = thread && scroller();
  if (!list) return;
  if (thread.aim) {
    const target = document.getElementById(`part-${thread.aim}`);
    if (target) {
      thread.aim = null;
      thread.isFollowed = false;
      target.scrollIntoView({ block: "center" });
      target.focus({ preventScroll: true });
    }
  } else if (heightBefore !== null && !thread.isReadingEarlier) {
    list.scrollTop = list.scrollHeight - heightBefore;
    heightBefore = null;
  } else if (thread.isFollowed) list.scrollTop = list.scrollHeight;
}

document.addEventListener("scroll", scrolled, { passive: true });
// A phone is turned, or its keyboard comes up: what was at the end stays there.
window.addEventListener("resize", settle);
