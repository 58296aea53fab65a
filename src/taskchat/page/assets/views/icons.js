// The page's icons: lines of one width, in the colour of the text around them. None of them speaks.

import { html, nothing } from "../vendor/lit-html/lit-html.js";

const PATHS = {
  plus: "M12 5v14M5 12h14",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM20 20l-4-4",
  menu: "M4 7h16M4 12h16M4 17h16",
  more: "M5 11.500v1M12 11.500v1M19 11.500v1",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.5l4.5 4.5L19 7",
  list: "M9 6h11M9 12h11M9 18h11M4 6h.01M4 12h.01M4 18h.01",
  send: "M12 19V5M5.5 11.5 12 5l6.5 6.5",
  stop: "M7 7h10v10H7z",
  later: "M12 7v5l3 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  code: "M8 8l-4 4 4 4M16 8l4 4-4 4",
  edit: "M4 20h4L19 9l-4-4L4 16v4ZM13 7l4 4",
  again: "M20 11a8 8 0 1 0-2.3 6.3M20 4v7h-7",
  up: "M7 11v9H4v-9h3Zm0 0 4-8c1.5 0 2.5 1 2.5 2.5V9H19c1.2 0 2 1 1.800 2.200l-1.200 7c-.2 1-1 1.800-2 1.800H7",
  down: "M7 13V4H4v9h3Zm0 0 4 8c1.5 0 2.5-1 2.500-2.500V15H19c1.200 0 2-1 1.800-2.200l-1.200-7c-.2-1-1-1.800-2-1.800H7",
  left: "M14.500 6 8.500 12l6 6",
  right: "M9.500 6l6 6-6 6",
  below: "M6 9.500l6 6 6-6",
  trash: "M4 7h16M10 4h4M6 7l1 13h10l1-13M10 11v5M14 11v5",
  share: "M12 15V4M8 7.500 12 4l4 3.500M6 12H5v8h14v-8h-1",
  save: "M12 4v11M8 11.500l4 3.500 4-3.500M5 20h14",
  box: "M4 8h16M5 8v12h14V8M4 8l2-4h12l2 4M10 12h4",
  pause: "M9 6v12M15 6v12",
  info: "M12 11v5M12 8h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
  tool: "M14.700 6.300a4 4 0 0 0-5 5L4 17l3 3 5.700-5.700a4 4 0 0 0 5-5L15 12l-3-3 2.700-2.700Z",
  ask: "M9.500 9.500a2.500 2.500 0 1 1 3.600 2.200c-.7.4-1.100 1-1.100 1.800M12 17h.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
  problem: "M12 9v4M12 16.500h.01M12 4 3 20h18L12 4Z",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM5 20c1-4 4-5.500 7-5.500s6 1.500 7 5.500",
  out: "M10 4H5v16h5M15 8l4 4-4 4M19 12H9",
};

export const icon = (name) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]}></path></svg>`;

/** A button that shows an icon alone; label is what it is called. One that is disabled keeps the focus. */
export const iconButton = (name, label, run, { disabled = false, pressed, kind = "" } = {}) => html`
  <button type="button" class="icon-button ${kind}" aria-label=${label} title=${label} aria-disabled=${disabled ? "true" : nothing}
    aria-pressed=${pressed ?? nothing} @click=${disabled ? null : run}>${icon(name)}</button>`;
