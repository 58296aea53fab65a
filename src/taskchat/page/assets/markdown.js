// Markdown becomes markup here and nowhere else: read by marked, and let through by DOMPurify, which
// gives what the browser demands for markup (Trusted Types).

import DOMPurify from "./vendor/dompurify/purify.es.mjs";
import { Marked } from "./vendor/marked/marked.esm.js";

const TAGS = [
  "a", "blockquote", "br", "code", "del", "em", "h2", "hr", "input", "li", "ol", "p",
  "pre", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
];
const ATTRIBUTES = ["align", "checked", "class", "disabled", "href", "start", "type"];

const escaped = (text) =>
  text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`);

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    // Markup that a model writes is shown, not obeyed.
    html: ({ text }) => escaped(text),
    // All of one rank below the conversation's title: a model's ranks have gaps, and an outline must not.
    heading({ tokens, depth }) {
      return `<h2 class="depth-${depth}">${this.parser.parseInline(tokens)}</h2>\n`;
    },
    // No picture is fetched: its address would tell somebody that this was read.
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
  },
});

const purify = DOMPurify(window);

purify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A" && node.hasAttribute("href")) {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer nofollow");
  }
  // What is wider than the page scrolls, by keyboard as well.
  if (node.tagName === "PRE" || node.tagName === "TABLE") node.setAttribute("tabindex", "0");
  if (node.tagName === "INPUT") {
    node.setAttribute("disabled", "");
    node.setAttribute("aria-label", node.hasAttribute("checked") ? "Done" : "Not done");
  }
});

const RULES = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ATTRIBUTES,
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  // The pattern of addresses is for addresses.
  ADD_URI_SAFE_ATTR: ATTRIBUTES.filter((name) => name !== "href"),
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_TRUSTED_TYPE: true,
};

/**
 * The blocks of a text, each as { raw, markup }. While a text grows, only its last block changes:
 * with `before`, what was given for the text so far, the others are the same objects.
 */
export function blocksOf(text, before = []) {
  const tokens = marked.lexer(text);
  return tokens
    .filter((token) => token.type !== "space" && token.type !== "def")
    .map((token, place) => {
      const known = before[place];
      if (known?.raw === token.raw) return known;
      return { raw: token.raw, markup: purify.sanitize(marked.parser([token]), RULES) };
    });
}
