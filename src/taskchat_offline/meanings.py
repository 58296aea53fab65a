"""Questions about what the operations mean: "what happens when I delete a task?" orders nothing."""

import re

from taskchat_offline.intents import Say
from taskchat_offline.lexicon import ADD, CHANGE, COMPLETE, DELETE, LIST_VERBS

_DEED = (
    r"(?:complet|delet|remov|eras|finish|mark|tick|check|cross|scrap|bin|clos|edit|renam|updat|"
    r"chang|add|creat|list|archiv)\w*"
)
_MEANING = re.compile(
    r"(?:^|[,:;.!-]\s*|\b(?:so|wondering|curious|know|explain|ask|and|but|tell me)\s+)(?:"
    r"(?:what|is there|explain|are there|tell me|any|know|the)\b[^.?!]{0,40}\bdifferences?"
    r" between\b"
    rf"|(?:how|in what way) (?:is|are|does|do) {_DEED}[^.?!]{{0,40}}\b(?:differ|different)"
    rf"|what (?:does|do|would|will|did) (?:it mean|you mean|{_DEED}|[\"'“‘]{_DEED})"
    rf"[^.?!]*\b(?:do|mean|by|to|when|if|actually|exactly|really|achieve)\b"
    r"|what (?:does it mean|do you mean|is meant)\b"
    r"|what (?:happens|will happen|would happen|happened) (?:when|if|to|once|after)\b"
    rf"|what(?:'s|’s| is) the (?:point|meaning|effect|purpose|use) of {_DEED}"
    rf"|(?:does|would|will|is|are) {_DEED}(?:ing)\b[^.?!]*\?"
    rf"|what(?:'s|’s| is) {_DEED}ing\b"
    rf"|if (?:i|you|we) {_DEED} [^.?!]*,? (?:is it|will it|does it|do you|can i|what|where)\b"
    rf"|(?:can|may|should|could) (?:we|i) {_DEED} [^.?!]* or not\?"
    r")",
    re.IGNORECASE,
)
_ORDERED = re.compile(
    r"\W*(?:(?:please|can you|could you|ok|hey|so)[ ,]+)*(?:add|remind|put|note|create|new|to-?do|"
    r"task|reminder|remember|i need|i have|i must|i should|i've|gotta|don't|rename|change|update|"
    r"set|"
    r"make|write|call|retitle)\b",
    re.IGNORECASE,
)
"""What opens an order whose words may hold such a question: "remind me to ask what ..."."""

_ABOUT = (("delete", DELETE), ("complete", COMPLETE | {"mark", "tick"}), ("add", ADD),
          ("update", CHANGE), ("list", LIST_VERBS))  # fmt: skip
_GERUND = re.compile(r"(?:ing|ed|es|s|e|ion)$")


def meaning_asked(text: str) -> tuple[Say, str] | None:
    """The answer to a question about the operations, and the sentences after it; or None."""
    found = _MEANING.search(text)
    if found is None or _ORDERED.match(text) or re.search(r"[.?!\n]\s*\w", text[: found.start()]):
        return None
    end = text.find("?", found.end() - 1)
    asked = text[: end + 1] if end >= 0 else text
    rest = text[end + 1 :].strip() if end >= 0 else ""
    roots = {_GERUND.sub("", word) for word in re.findall(r"[a-z]+", asked.casefold())}
    for about, verbs in _ABOUT:
        if roots & {_GERUND.sub("", verb) for verb in verbs}:
            settles = about in {"delete", "complete"}
            return Say("howto", "states" if settles else about), rest
    return None
