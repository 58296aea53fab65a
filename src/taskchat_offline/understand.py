"""From a message to what it asks for. Pure: the same words always mean the same."""

import functools
import re
from collections.abc import Sequence
from dataclasses import replace

from taskchat_offline.clauses import clauses_of
from taskchat_offline.courtesies import social_of
from taskchat_offline.editing import Reading
from taskchat_offline.frames import ability_of
from taskchat_offline.intents import Add, Ask, Change, Edit, Offer, Reword, Say, Show, Understanding
from taskchat_offline.lexicon import FILLERS
from taskchat_offline.listings import listing_of
from taskchat_offline.meanings import meaning_asked
from taskchat_offline.normalise import Token, text_of, tokens_of
from taskchat_offline.plainer import filled_in, plainer
from taskchat_offline.reading import read_clause
from taskchat_offline.references import reference_of
from taskchat_offline.settling import settled_of
from taskchat_offline.trimming import trimmed
from taskchat_offline.wishes import wish_of

MESSAGE_CHARS_MAX = 600
"""Longer messages are no wish to see tasks in many words, nor a question about the assistant."""

_ASIDE = re.compile(r",\s*while (?:you|i|we)(?:['’]re|['’]m| are| am) at it\s*,", re.IGNORECASE)
"""An aside between two halves of a request."""

_TAG = re.compile(
    r",\s*(?:isn|aren|hasn|haven|wasn|weren|didn|don)['’]?t (?:it|they|i|we|he|she|that)\s*\?\s*$",
    re.IGNORECASE,
)
"""What turns a statement into a question."""

_UNSURE = re.compile(
    r"[,;.–-] ?(?:but )?(?:i['’]m )?not (?:so |really |quite )?sure(?: yet)?[.!]*\s*$",
    re.IGNORECASE,
)
"""An order whose speaker doubts it at its end is none: "delete the ink, I'm not sure"."""

_OUT_OF = frozenset({"of", "out", "from", "on", "among"})
"""What opens "of all my tasks, which ...": the list is named before the question."""

_BEFORE_NAME = tuple(
    phrase.split()
    for phrase in (
        "i meant", "i mean", "it's", "it is", "do the same for", "the same for", "same for",
        "same with", "what about", "i'd say", "do", "for", "no", "i want", "about", "it was",
        "with", "call it", "ditto for", "ditto with", "ditto",
    )
)  # fmt: skip


@functools.lru_cache(maxsize=64)
def understand(text: str) -> Understanding:
    """What a message asks for, in the order said.

    Remembered for a while: every step of a turn reads its message and the ones before it.

    Args:
        text: The user's message, any text.

    Returns:
        At least one intent; `Say("unknown")` when nothing was understood.
    """
    text = _ASIDE.sub(" ", text)
    if len(text) <= MESSAGE_CHARS_MAX:
        if (meaning := meaning_asked(text)) is not None:
            said, rest = meaning
            return understand(rest) if tokens_of(rest) else Understanding((said,), text.strip())
        whole = wish_of(tokens_of(text)) or filled_in(text)
        if whole is not None:
            return Understanding((whole,), text.strip())
        text = plainer(text)
    clauses = clauses_of(text)
    social = social_of(clauses)
    if social is not None:
        return Understanding((social,), text.strip())
    readings: list[Reading] = []
    for place, clause in enumerate(clauses):
        if clause.tokens:
            reading = read_clause(clause, has_more=place + 1 < len(clauses))
            before = readings[-1].intents if readings else ()
            adding = bool(before) and all(isinstance(i, Add) and not i.soft for i in before)
            offers = [i for i in reading.intents if isinstance(i, Offer) and i.verb == "add"]
            if adding and clause.joined and offers and "also" in text.casefold():
                # "Add X. Also do Y": the second goes where the first went.
                reading = replace(reading, intents=tuple(Add(i.words) for i in offers))
            readings.append(reading)
    intents = settled_of(readings)
    if _TAG.search(text):
        # "The rent is paid, isn't it?" asks and reports nothing.
        asked = [Ask(i.target) for i in intents if isinstance(i, Change) and i.told]
        intents = list(asked[:1]) or intents
    tokens = tokens_of(text[:MESSAGE_CHARS_MAX])
    if (able := ability_of(tokens)) is not None:
        return Understanding((able,), text.strip())
    settled = all(isinstance(intent, Show) for intent in intents)
    opening = tokens[0].key if tokens else ""
    if len(text) <= MESSAGE_CHARS_MAX and not (settled and opening not in _OUT_OF):
        wish = listing_of(tokens)
        intents = intents if wish is None else [wish]
    back = len(clauses) > 1 and _takes_back(clauses[-1].tokens)
    if (back or _UNSURE.search(text)) and any(
        isinstance(intent, Add | Change | Edit | Reword) for intent in intents
    ):  # fmt: skip
        intents = [Say("no")]
    last = clauses[-1] if clauses else None
    bare = None
    again = False
    words = text.strip()
    if last is not None and len([c for c in clauses if c.tokens]) == 1:
        only = next(c for c in clauses if c.tokens)
        bare = reference_of(only.text, _answer(only.tokens))
        again = only.joined or _adds_on(text)
        if (same := _so_is(tokens)) is not None:
            again, bare = True, reference_of(text, same)
            intents = [Say("unknown")]
        words = text_of(only.text, trimmed(_answer(only.tokens)))
    context = next((reading.context for reading in reversed(readings) if reading.context), "")
    meant = bool({"meant", "mean"} & set(text.casefold().split()[:6]))
    return Understanding(tuple(intents), words, bare, again, context, meant)


def _takes_back(tokens: Sequence[Token]) -> bool:
    """Whether the message ends by calling itself off: "delete the ink - no wait, don't"."""
    keys = [token.key for token in tokens if token.key not in FILLERS | {"no", "wait"}]
    return " ".join(keys) in {
        "don't", "do not", "never mind", "nevermind", "forget it", "leave it", "scratch that",
        "don't do it", "don't do that", "cancel that", "leave it as it is", "better not", "not yet",
        "keep it", "keep that",
        "keep that one", "i'm not sure", "not sure", "i'm not sure yet", "keep it please",
    }  # fmt: skip


def _so_is(tokens: Sequence[Token]) -> Sequence[Token] | None:
    """The name in “and so is the third one”."""
    while tokens and tokens[0].key in FILLERS - {"so"} | {","}:
        tokens = tokens[1:]
    keys = [token.key for token in tokens]
    for opening in (["so", "is"], ["so", "are"], ["so", "has"], ["so", "was"], ["as", "is"],
                    ["likewise"], ["same", "goes", "for"]):  # fmt: skip
        if keys[: len(opening)] == opening and len(keys) > len(opening):
            return tokens[len(opening) :]
    return None


def _adds_on(text: str) -> bool:
    words = text.casefold().strip(" .!?").split()
    if "i meant" in " ".join(words[:6]) or "i mean" in " ".join(words[:6]):
        return True
    if words[:4] in (["do", "the", "same", "for"], ["do", "the", "same", "with"]):
        return True
    if words[:3] in (["the", "same", "for"], ["the", "same", "with"], ["and", "the", "same"]):
        return True
    if words[:1] == ["ditto"] or words[:2] in (
        ["same", "for"],
        ["same", "with"],
        ["what", "about"],
    ):
        return True
    return bool(words) and (words[-1] in {"too", "also"} or words[-2:] == ["as", "well"])


def _answer(tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens without "I meant", "it's" or "same for" before a name."""
    keys = [token.key for token in tokens[:4]]
    for opening in _BEFORE_NAME:
        if keys[: len(opening)] == opening and len(tokens) > len(opening):
            return _answer(tokens[len(opening) :])
    return tokens
