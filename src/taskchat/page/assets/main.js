// Where the page begins.

import { start } from "./account.js";
import { drawnBy, state } from "./store.js";
import { render } from "./vendor/lit-html/lit-html.js";
import "./views/keys.js";
import { page } from "./views/page.js";
import { settle, toWriting } from "./views/scrolling.js";

const root = document.getElementById("app");
const spoken = document.getElementById("spoken");
root.replaceChildren();

drawnBy(() => {
  const held = document.activeElement;
  render(page(), root);
  if (spoken.textContent !== state.spoken) spoken.textContent = state.spoken;
  settle();
  // What had the focus is gone: whoever uses keys goes on from where one writes, not from the top.
  if (!held.isConnected) toWriting();
});

start();
