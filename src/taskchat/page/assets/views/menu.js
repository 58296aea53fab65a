// A menu behind a button with three dots: a list of buttons that the browser puts on top of the page.

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { icon } from "./icons.js";

/** items: { icon, label, run, kind? }; those that are null are left out. */
export const menu = (id, label, items) => html`
  <button type="button" class="icon-button" aria-label=${label} title=${label} popovertarget="menu-${id}">${icon("more")}</button>
  <ul class="menu" id="menu-${id}" popover>
    ${items.map((item) => (item ? html`
      <li><button type="button" class=${item.kind ?? ""} @click=${(event) => choose(event, item.run)}>
        ${icon(item.icon)}${item.label}</button></li>` : nothing))}
  </ul>`;

function choose(event, run) {
  event.target.closest("[popover]").hidePopover();
  run();
}
