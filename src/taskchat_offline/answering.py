"""Answers to the last question, and continuations. Worked out anew from the conversation."""

from collections.abc import Sequence
from dataclasses import replace

from taskchat_offline.drafting import Question
from taskchat_offline.history import CHANGING, Turn, memory_of, tasks_of
from taskchat_offline.intents import (
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
from taskchat_offline.lexicon import DETERMINERS, PRONOUNS, TASK_VERBS, word_set
from taskchat_offline.matching import Memory, Task, resolve, with_status
from taskchat_offline.normalise import key_of
from taskchat_offline.second import drafted
from taskchat_offline.understand import understand

QUESTIONS_BACK_MAX = 5
"""Questions that may follow one another before the first is forgotten."""


def intents_of(turn: Turn, earlier: Sequence[Turn], *, depth: int) -> tuple[Intent, ...]:
    """The turn's intents, an answer to the last question or a continuation included."""
    heard = understand(turn.said)
    intents = _returned(heard.intents, earlier) or _pointed_back(heard, earlier)
    heard = replace(heard, intents=_filled(intents, earlier))
    first = heard.intents[0]
    vague = len(heard.intents) == 1 and isinstance(first, Say | Offer)
    if not earlier:
        return heard.intents
    question = _asked(earlier, depth=depth)
    if question is not None:
        answered = _answered(question, heard, first, vague=vague)
        if answered is not None:
            return answered
    if (isinstance(first, Say) and first.topic == "unknown") or isinstance(first, Offer):
        continued = _continued(heard, earlier, depth=depth)
        if continued is not None:
            return continued
    return heard.intents


_PREPOSITIONS = word_set("for on at by with before after in from to until about into over")


def _filled(intents: tuple[Intent, ...], earlier: Sequence[Turn]) -> tuple[Intent, ...]:
    """“Remind me to paint it” right after a task was named: what "it" is, the new title says."""
    if len(intents) != 1 or not earlier:
        return intents
    (add,) = intents
    words = add.title.split() if isinstance(add, Add) else []
    steps = [step for step in earlier[-1].steps if step.name in CHANGING and step.result]
    if len(words) < 2 or words[1].casefold() not in {"it", "them"} or len(steps) != 1:
        return intents
    title = str((steps[0].result or {}).get("title") or steps[0].arguments.get("title") or "")
    named = title.split()
    deed = key_of(named[0]) in TASK_VERBS or key_of(named[1]) in DETERMINERS if named[1:] else False
    if deed:
        named = named[1:]
    end = next((at for at, word in enumerate(named) if at and word in _PREPOSITIONS), len(named))
    if not named or not isinstance(add, Add):
        return intents
    return (replace(add, title=" ".join([words[0], *named[:end], *words[2:]])),)


def _returned(intents: tuple[Intent, ...], earlier: Sequence[Turn]) -> tuple[Intent, ...] | None:
    """What takes back the last turn's calls, as far as a tool can: "add it back"."""
    again = [i for i in intents if isinstance(i, Add) and _is_pronoun(i.title)]
    if not earlier or (
        not again and not any(isinstance(i, Say) and i.about == "back" for i in intents)
    ):
        return None
    steps = [s for s in earlier[-1].steps if s.name in CHANGING and s.result is not None]
    lists = [step for step in earlier[-1].steps if step.name == "list_tasks"]
    before = {task.id: task for task in (tasks_of(lists[0]) if lists else [])}
    back: list[Intent] = []
    for step in steps:
        task = before.get(step.task_id or 0)
        target = Reference("ids", numbers=(step.task_id or 0,))
        if step.name == "delete_task" and task is not None:
            back.append(Add(task.title, task.description or None))
        elif step.name == "update_task" and task is not None and not again:
            title = task.title if "title" in step.arguments else None
            described = "description" in step.arguments
            back.append(Edit(target, title, task.description if described else None))
    return tuple(back) or None


def _pointed_back(heard: Understanding, earlier: Sequence[Turn]) -> tuple[Intent, ...]:
    """The intents with "add that" naming what the user spoke of in the turn before."""
    if not any(isinstance(i, Add) and _is_pronoun(i.title) for i in heard.intents):
        return heard.intents
    last = understand(earlier[-1].said if earlier else "")
    words = ""
    for intent in last.intents:
        if isinstance(intent, Change | Edit | Ask) and intent.target.naming == "words":
            words = intent.target.words
        elif isinstance(intent, Offer):
            words = intent.words
    title = _unarticled(words) or last.context
    return tuple(
        (replace(i, title=title) if title else Say("incomplete", "add"))
        if isinstance(i, Add) and _is_pronoun(i.title)
        else i
        for i in heard.intents
    )


def _is_pronoun(title: str) -> bool:
    return title.casefold().removesuffix(" one") in PRONOUNS


def _unarticled(words: str) -> str:
    """A name without the article and the word "task" around it."""
    pieces = words.split()
    while len(pieces) > 1 and pieces[0].casefold() in {"the", "a", "an"}:
        pieces = pieces[1:]
    while len(pieces) > 1 and pieces[-1].casefold() in {"task", "one", "item"}:
        pieces = pieces[:-1]
    return " ".join(pieces)


def _asked(earlier: Sequence[Turn], *, depth: int) -> Question | None:
    """The question that the last reply asked, worked out anew from what led to it."""
    last = earlier[-1]
    if "?" not in last.reply or depth >= QUESTIONS_BACK_MAX:
        return None
    before = earlier[:-1]
    intents = intents_of(last, before, depth=depth + 1)
    lists = [step for step in last.steps if step.name == "list_tasks"]
    tasks = tasks_of(lists[0]) if lists else []
    return drafted(last, intents, tasks, memory_of(before, tasks)).draft.question


def _answered(
    question: Question, heard: Understanding, first: Intent, *, vague: bool
) -> tuple[Intent, ...] | None:
    intent = question.intent
    if isinstance(first, Say) and first.topic == "no":
        return (Say("no"),)
    if isinstance(intent, Offer):
        if isinstance(first, Say) and first.topic == "yes":
            if intent.verb == "add":
                return (Add(intent.words),)
            return (Change("delete", intent.target),)
        return None
    if isinstance(intent, Say) and intent.topic == "incomplete":
        if not vague or not heard.text or (isinstance(first, Say) and first.topic != "unknown"):
            return None
        if intent.about == "add":
            return (Add(heard.text),)
        if intent.about in {"complete", "delete"} and heard.bare is not None:
            return (Change("delete" if intent.about == "delete" else "complete", heard.bare),)
        return None
    if isinstance(intent, Edit) and question.candidates == ():
        if not vague or not heard.text or (isinstance(first, Say) and first.topic != "unknown"):
            return None
        return (replace(intent, title=heard.text.removeprefix("to ")),)
    if not question.candidates:
        return None
    chosen = _chosen(question, heard, first, vague=vague)
    if chosen is None:
        return None
    target = Reference("ids", numbers=tuple(task.id for task in chosen), plural=len(chosen) > 1)
    if isinstance(intent, Change):
        return (replace(intent, target=target, certain=True),)
    if isinstance(intent, Edit | Ask):
        return (replace(intent, target=target),)
    if isinstance(intent, Reword):
        return (replace(intent.readings[0], target=target),)
    return None


def _chosen(
    question: Question, heard: Understanding, first: Intent, *, vague: bool
) -> tuple[Task, ...] | None:
    """The candidates that an answer names: by words, id or place among those shown."""
    candidates = question.candidates
    reference = heard.bare
    same = (
        isinstance(first, Change)
        and isinstance(question.intent, Change)
        and (first.verb == question.intent.verb)
    )
    if same and isinstance(first, Change):
        reference = first.target
    elif (not vague and not (isinstance(first, Show) and reference is not None)) or (
        isinstance(first, Say) and first.topic not in {"unknown", "noted"}
    ):
        return None
    if reference is None or reference.naming == "vague":
        return None
    ids = tuple(task.id for task in candidates)
    if reference.naming == "every" and reference.plural:
        return tuple(with_status(candidates, reference.status)) or None
    if reference.naming == "pronoun":
        return candidates if reference.plural else None
    found = resolve(reference, candidates, Memory(focus=ids, shown=ids))
    if reference.naming == "ids" and found.missing:
        places = replace(reference, naming="places")
        found = resolve(places, candidates, Memory(shown=ids))
    return found.tasks if found.tasks and not found.missing and not found.unclear else None


def _continued(
    heard: Understanding, earlier: Sequence[Turn], *, depth: int
) -> tuple[Intent, ...] | None:
    """“And the second one too” repeats what the last turn did, on another task."""
    if not heard.again or heard.bare is None or depth >= QUESTIONS_BACK_MAX:
        return None
    names = [step.name for step in earlier[-1].steps if step.name in CHANGING]
    if not names:
        meant = intents_of(earlier[-1], earlier[:-1], depth=depth + 1)[0]
        return (replace(meant, target=heard.bare),) if isinstance(meant, Change) else None
    if names[-1] == "complete_task" and heard.bare.naming != "vague":
        return (Change("complete", heard.bare),)
    if names[-1] == "delete_task" and heard.bare.naming != "vague":
        return (Change("delete", heard.bare),)
    if names[-1] == "add_task" and heard.meant and heard.text:
        return (Edit(Reference("newest"), title=heard.text),)
    if names[-1] == "add_task" and heard.bare.naming == "words" and heard.text:
        return (Add(heard.text.removeprefix("to ")),)
    return None
