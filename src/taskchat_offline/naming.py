"""Which tasks a segment names besides its order: by quotation, title, number, place or "it"."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from taskchat_offline.intents import PRONOUN, Add, Intent, Reference
from taskchat_offline.lexicon import DONE, FILLERS, LISTS, POLITE, word_set
from taskchat_offline.likeness import content, share_held
from taskchat_offline.matching import TASKS_FUZZY_MAX, Memory, Task, resolve
from taskchat_offline.normalise import Token, text_of
from taskchat_offline.references import reference_of
from taskchat_offline.signs import VERBS

COVERED_MIN = 0.85
"""Share of a title that must be said for a segment without "task" or quotation to name it."""


AROUND = (
    VERBS - {"like"}
    | DONE
    | FILLERS
    | POLITE
    | LISTS
    | word_set(
        "off from out away down as to is are be been was were has have had now already it's "
        "that's on onto in into of my the our this i i've i'm we we've you can could may "
        "should status state me us behind rid for belong belongs doesn't isn't shouldn't not "
        "any more longer anymore taken care dealt with way item's want part your tasks to-dos "
        "todos todo to-do permanently completely fully entirely being prefer so will would "
        "please"
    )
)


@dataclass(slots=True)
class Weighed:
    """What the segments so far came to."""

    intents: list[Intent] = field(default_factory=list)
    spoken: list[Task] = field(default_factory=list)
    reported: list[Task] = field(default_factory=list)
    said: str = ""


def ids_of(tasks: Sequence[Task]) -> Reference:
    """Names these very tasks."""
    return Reference("ids", numbers=tuple(task.id for task in tasks), plural=len(tasks) > 1)


def covered(said: str, tasks: Sequence[Task]) -> list[Task]:
    """The tasks all of whose title is said, in any inflection."""
    # "Called" is a stop word in names ("a task called"), but a deed in reports.
    heard = [*content(said), *(["call"] if "called" in said.casefold().split() else [])]
    fuzzy = len(tasks) <= TASKS_FUZZY_MAX
    return [
        task
        for task in tasks
        if heard and share_held(task.words, heard, fuzzy=fuzzy) >= COVERED_MIN
        and (len(task.words) > 1 or task.words[0] in heard)
    ]  # fmt: skip


def named(
    text: str, body: Sequence[Token], tasks: Sequence[Task], memory: Memory, so_far: Weighed
) -> Reference | None:
    """The task that the words name besides those of the operation."""
    quotes = [token for token in body if token.kind == "quote"]
    if quotes:
        return reference_of(text, [quotes[0]]) if len(quotes) == 1 else Reference(
            "words", " and ".join(q.text for q in quotes), plural=True,
            parts=tuple(Reference("words", q.text) for q in quotes),
        )  # fmt: skip
    exact = _entitled(body, tasks)
    if exact is not None:
        return ids_of([exact])
    words = list(body)
    while words and words[0].key in AROUND:
        words = words[1:]
    while words and words[-1].key in AROUND:
        words = words[:-1]
    if not words:
        return pointed_back(body, so_far)
    target = reference_of(text, words)
    if target.naming == "pronoun":
        return pointed_back(body, so_far)
    if target.naming != "words":
        return None if target.naming in {"vague", "every"} else target
    match = resolve(target, tasks, memory)
    if match.tasks and not match.missing:
        return ids_of(match.tasks)
    entire = covered(text_of(text, body), tasks)
    return ids_of(entire) if len(entire) == 1 else target


def _entitled(body: Sequence[Token], tasks: Sequence[Task]) -> Task | None:
    """The one task whose whole title stands among the words."""
    said = f" {' '.join(token.key for token in body)} "
    found = [t for t in tasks if len(t.plain.split()) > 1 and f" {t.plain} " in said]
    return max(found, key=lambda task: len(task.plain)) if found else None


def pointed_back(body: Sequence[Token], so_far: Weighed) -> Reference | None:
    """What "it", "both" or no word at all points back at."""
    if any(isinstance(intent, Add) for intent in so_far.intents):
        return Reference("newest")
    many = {"both", "two", "them", "those", "these"} & {token.key for token in body}
    spoken = list(dict.fromkeys(so_far.reported or so_far.spoken))
    if many & {"both", "two"} or (many and len(spoken) > 1):
        return ids_of(spoken) if len(spoken) > 1 else None
    if len(spoken) == 1:
        return ids_of(spoken)
    return replace(PRONOUN, context=so_far.said) if so_far.said else PRONOUN
