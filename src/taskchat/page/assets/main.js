// Where the page begins.

import { start } from "./account.js";
import { drawnBy, state } from "./store.js";
import { render } from "./vendor/lit-html/lit-html.js";
import "./views/keys.js";
import { page } from "./views/page.js";
import { settle } from "./views/scrolling.js";

const root = document.getElementById("app");
const spoken = document.getElementById("spoken");
root.replaceChildren();

drawnBy(() => {
  render(page(), root);
  if (spoken.textContent !== state.spoken) spoken.textContent = state.spoken;
  settle();
});

start();
