// Which of the two side panels is open, where there is no room for both.

import { afterDrawing, state } from "../store.js";

let before = null; // what had the focus

// With room for all of them, none lies over the rest.
for (const wide of ["(min-width: 46rem)", "(min-width: 68rem)"]) {
  matchMedia(wide).addEventListener("change", () => state.panel && showPanel(null));
}

/** Open a panel, or with null close the one that is open. */
export function showPanel(panel) {
  if (panel) before = document.activeElement;
  state.panel = panel;
  afterDrawing(() => {
    if (panel) document.querySelector(panel === "tasks" ? ".tasks button, .tasks input" : "nav.side button")?.focus();
    else before?.focus();
  });
}
