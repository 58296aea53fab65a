// Keys that work everywhere on the page. All need a modifier, so that nobody's typing is in danger.

import { afterDrawing, state } from "../store.js";
import { showPanel } from "./panels.js";

document.addEventListener("keydown", (event) => {
  if (!state.session || state.dialog) return;
  const command = event.ctrlKey || event.metaKey;
  if (event.key === "Escape" && state.panel) showPanel(null);
  if (command && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    const field = document.getElementById("search");
    if (field.checkVisibility({ visibilityProperty: true })) return field.focus();
    showPanel("conversations");
    afterDrawing(() => field.focus());
  }
  if (command && event.altKey && event.code === "KeyN") {
    event.preventDefault();
    document.querySelector(".new").click();
  }
  return undefined;
});
