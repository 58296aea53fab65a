"""The readings of all clauses as one list of intents: what counts, and what "it" points at."""

from collections.abc import Sequence
from dataclasses import replace

from taskchat_offline.editing import Reading
from taskchat_offline.intents import (
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
)
from taskchat_offline.lexicon import PRONOUNS


def settled_of(readings: Sequence[Reading]) -> list[Intent]:
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
