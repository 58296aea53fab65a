"""From a message to what it asks for. Pure: the same words always mean the same."""

import re
from collections.abc import Sequence
from dataclasses import replace

from taskchat.assistant.offline.clauses import clauses_of
from taskchat.assistant.offline.courtesies import social_of
from taskchat.assistant.offline.editing import Reading
from taskchat.assistant.offline.frames import ability_of
from taskchat.assistant.offline.intents import (
    PRONOUN,
    Add,
    Ask,
    Change,
    Edit,
    Intent,
    Offer,
    Reference,
    Reword,
    Say,
    Show,
    Understanding,
)
from taskchat.assistant.offline.lexicon import FILLERS, PRONOUNS
from taskchat.assistant.offline.listings import listing_of
from taskchat.assistant.offline.meanings import meaning_asked
from taskchat.assistant.offline.normalise import Token, text_of, tokens_of
from taskchat.assistant.offline.plainer import filled_in, plainer
from taskchat.assistant.offline.reading import read_clause
from taskchat.assistant.offline.references import reference_of
from taskchat.assistant.offline.trimming import trimmed
from taskchat.assistant.offline.wishes import wish_of

MESSAGE_CHARS_MAX = 600
"""Longer messages are no wish to see tasks in many words, nor a question about the assistant."""

_ASIDE = re.compile(r",\s*while (?:you|i|we)(?:['’]re|['’]m| are| am) at it\s*,", re.IGNORECASE)
"""An aside between two halves of a request."""

_TAG = re.compile(
    r",\s*(?:isn|aren|hasn|haven|wasn|weren|didn|don)['’]?t (?:it|they|i|we|he|she|that)\s*\?\s*$",
    re.IGNORECASE,
)
"""What turns a statement into a question."""

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


def understand(text: str) -> Understanding:
    """What a message asks for, in the order said.

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
    intents = _settled(readings)
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
    if len(clauses) > 1 and _takes_back(clauses[-1].tokens) and any(
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


def _settled(readings: Sequence[Reading]) -> list[Intent]:
    """One list of intents: reports give way to commands about the same task."""
    intents: list[Intent] = []
    context = ""
    named: Reference | None = None
    field = ""
    for reading in readings:
        for intent in reading.intents:
            if isinstance(intent, Edit) and _describes(intent) and intents:
                last = intents[-1]
                if isinstance(last, Add) and not last.soft and not last.description:
                    intents[-1] = replace(last, description=intent.description)
                    continue
            if _is_empty(intent) and any(isinstance(i, Edit | Reword) for i in intents):
                continue
            duties = [i for i in intents if isinstance(i, Add) and i.soft]
            if isinstance(intent, Add) and intent.title.casefold() in _SEVERAL and duties:
                # "I need eggs and I need tape, add both": the duties say what.
                intents = [replace(i, soft=False) if isinstance(i, Add) else i for i in intents]
                continue
            if _sums_up(intent, intents):
                continue
            if context or named:
                intent = _implied(intent)
            settled = _pointed(intent, context, named)
            if isinstance(settled, Edit) and field == "description" and _is_pronoun(intent):
                settled = replace(settled, title=None, description=settled.title)
            last_named = isinstance(intents[-1], Edit) and intents[-1].title if intents else None
            if isinstance(intent, Edit) and intent.title and _is_pronoun(intent) and last_named:
                # "X should be more specific: rename it Y": the last name counts.
                intents = intents[:-1]
            if isinstance(settled, Change | Edit | Reword) and _is_pronoun(intent):
                intents = [i for i in intents if not _yields(i, context, named)]
            if (
                isinstance(settled, Change)
                and settled.told
                and _is_pronoun(intent)
                and any(isinstance(i, Change) and not i.told for i in intents)
            ):
                continue
            intents.append(settled)
        if reading.context:
            context = reading.context
        named = reading.named or named
        field = reading.field or field
        if reading.named is not None and reading.named.naming != "words":
            context = ""
    return _weeded(intents)


_SEVERAL = frozenset({"both", "them", "these", "those", "all", "both of them", "them both"})


def _sums_up(intent: Intent, before: Sequence[Intent]) -> bool:
    """“Ivy's called, the fence is mended; tick both”: the reports say which."""
    reports = [i for i in before if isinstance(i, Change) and i.told]
    return (
        isinstance(intent, Change)
        and intent.verb == "complete"
        and intent.target.plural
        and _is_pronoun(intent)
        and len(reports) > 1
    )


def _implied(intent: Intent) -> Intent:
    """A bare order or report after a task was named: "the third one's pointless, delete"."""
    if not isinstance(intent, Say) or intent.topic not in {"noted", "incomplete"}:
        return intent
    if intent.about == "complete":
        return Change("complete", PRONOUN, told=intent.topic == "noted")
    if intent.about == "delete":
        return Change("delete", PRONOUN)
    return intent


def _is_empty(intent: Intent) -> bool:
    """“Please correct the task” after the correction itself."""
    return (
        isinstance(intent, Edit)
        and intent.title is None
        and intent.description is None
        and intent.target.naming in {"pronoun", "vague"}
    )


def _describes(edit: Edit) -> bool:
    """Whether the edit only describes "it", the task named just before."""
    return (
        edit.title is None and bool(edit.description) and edit.target.naming in {"pronoun", "vague"}
    )


def _is_pronoun(intent: Intent) -> bool:
    if isinstance(intent, Reword):
        return any(_is_pronoun(edit) for edit in intent.readings)
    if isinstance(intent, Add):
        return intent.title.casefold() in PRONOUNS
    return isinstance(intent, Change | Edit | Offer) and intent.target.naming == "pronoun"


def _yields(intent: Intent, context: str, named: Reference | None) -> bool:
    """Whether a report is only the reason for the command that follows it."""
    if isinstance(intent, Change):
        return intent.told
    return isinstance(intent, Offer) or (isinstance(intent, Say) and intent.topic != "kept")


def _pointed(intent: Intent, context: str, named: Reference | None) -> Intent:
    """The intent with "it" pointing at what the message named before."""
    if isinstance(intent, Reword):
        edits = [_pointed(edit, context, named) for edit in intent.readings]
        return Reword(tuple(edit for edit in edits if isinstance(edit, Edit)))
    if isinstance(intent, Add) and intent.title.casefold() in PRONOUNS and context:
        return replace(intent, title=context)
    if not isinstance(intent, Change | Edit | Ask) or intent.target.naming != "pronoun":
        return intent
    if named is not None:
        return replace(intent, target=replace(named, context=context))
    if context and not intent.target.plural:
        return replace(intent, target=replace(intent.target, context=context))
    return intent


def _weeded(intents: Sequence[Intent]) -> list[Intent]:
    """Without what only accompanied a request: duties, remarks, offers."""
    asked = [i for i in intents if isinstance(i, Change | Edit | Reword | Show | Ask)
             or (isinstance(i, Add) and not i.soft)]  # fmt: skip
    shows = [i for i in asked if isinstance(i, Show)]
    if len(shows) > 1:
        # One list answers all: "list my tasks and tell me which of them are done".
        status = shows[0].status if len({show.status for show in shows}) == 1 else "all"
        words = {show.words for show in shows} if all(show.words for show in shows) else {""}
        merged = replace(shows[0], status=status, words=words.pop() if len(words) == 1 else "")
        intents = [i for i in intents if not isinstance(i, Show)] + [merged]
    certain = [i for i in asked if not (isinstance(i, Change) and i.told and not i.certain)]
    pronoun_add = any(isinstance(i, Add) and i.title.casefold() in PRONOUNS for i in intents)
    if any(isinstance(i, Add) and not i.soft for i in intents) and not pronoun_add:
        kept = [i for i in intents if not (isinstance(i, Add) and i.soft)]
    else:
        kept = list(intents)
    if certain:
        return [i for i in kept if not isinstance(i, Say | Offer) or
                (isinstance(i, Say) and i.topic in {"kept", "undo", "reopen"})]  # fmt: skip
    duties = [i for i in kept if isinstance(i, Add)]
    if duties:
        return [i for i in kept if isinstance(i, Add | Change)]
    told = [i for i in kept if isinstance(i, Change)]
    if told:
        return list(told)
    back = [i for i in kept if isinstance(i, Say) and i.about == "back"]
    if back:
        return list(back[:1])
    telling = [i for i in kept if not (isinstance(i, Say) and i.topic == "unknown")]
    return telling[:1] or [Say("unknown")]
