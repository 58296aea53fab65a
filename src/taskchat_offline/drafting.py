"""What a turn's intents come to: calls and remarks. A doubt becomes a question, never a call."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from taskchat_offline import reply
from taskchat_offline.dates import redated
from taskchat_offline.exchanging import exchanged, names_part, with_number
from taskchat_offline.history import Turn
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
)
from taskchat_offline.likeness import fit
from taskchat_offline.matching import Match, Memory, Task, holding, resolve
from taskchat_offline.telling import qualified, same_deed, told_done

MEANT_MIN = 0.5
"""Share of a title that "I don't need X any more" must name for its task to be deleted unasked."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call to make."""

    name: str
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True)
class Question:
    """What the assistant asked: which of these tasks to act on, or yes or no, or new words."""

    intent: Intent
    candidates: tuple[Task, ...] = ()


@dataclass(slots=True)
class Draft:
    """Calls in the order asked for, and what to say besides.

    `awaiting` when more calls follow once a new task has its id.
    """

    calls: list[ToolCall] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shows: list[Show] = field(default_factory=list)
    question: Question | None = None
    awaiting: bool = False


def draft_of(turn: Turn, intents: Sequence[Intent], tasks: Sequence[Task], memory: Memory) -> Draft:
    """All that the turn's intents come to, given the list as it was when the turn began."""
    draft = Draft()
    created = [step for step in turn.steps if step.name == "add_task"]
    known = list(tasks)
    added = 0
    pending_add = False
    for intent in intents:
        if draft.awaiting:
            break
        if isinstance(intent, Change | Edit | Reword) and (acted := _acted(draft)):
            # After "complete A, then change the other one", the other one is not A.
            memory = replace(memory, acted=acted)
        if isinstance(intent, Add):
            before = len(draft.calls)
            _draft_add(draft, intent, known)
            if len(draft.calls) > before:
                if added < len(created):
                    step = created[added]
                    if step.task_id is not None:
                        known = [*known, Task(step.task_id, intent.title)]
                        memory = replace(memory, newest=step.task_id, focus=(step.task_id,))
                else:
                    pending_add = True
                added += 1
        elif isinstance(intent, Show):
            draft.shows.append(intent)
        elif isinstance(intent, Say):
            draft.notes.append(reply.saying(intent))
            if intent.topic == "incomplete":
                draft.question = Question(intent)
        elif isinstance(intent, Offer):
            _draft_offer(draft, intent, known, memory)
        elif isinstance(intent, Change | Edit) and pending_add and intent.target.naming in {
            "newest", "pronoun"
        }:  # fmt: skip
            # The task to act on exists only after the calls so far; the next step sees its id.
            draft.awaiting = True
        elif isinstance(intent, Change):
            _draft_change(draft, intent, known, memory)
        elif isinstance(intent, Ask):
            _draft_ask(draft, intent, known, memory)
        else:
            _draft_edit(draft, intent, known, memory)
    gone = [call.arguments for call in draft.calls if call.name == "delete_task"]
    reasons = any(isinstance(i, Change) and i.told and not i.certain for i in intents)
    if reasons and gone:
        # "The flight got cancelled, delete the airport task": a reason is no completion.
        draft.calls = [
            call
            for call in draft.calls
            if call.name != "complete_task" or call.arguments not in gone
        ]
    if draft.calls:
        # "I changed nothing" would be untrue beside a change.
        untrue = {reply.saying(Say("noted")), reply.saying(Say("kept"))}
        draft.notes = [note for note in draft.notes if note not in untrue]
    return draft


def _acted(draft: Draft) -> tuple[int, ...]:
    ids = [call.arguments.get("task_id") for call in draft.calls]
    return tuple(task_id for task_id in ids if isinstance(task_id, int))


def _draft_add(draft: Draft, add: Add, tasks: Sequence[Task]) -> None:
    same = same_deed(add.title, tasks) if add.soft else []
    if same:
        draft.notes.append(f"{reply.named(same[0].title)} is already on your list.")
        return
    arguments: dict[str, object] = {"title": add.title}
    if add.description:
        arguments["description"] = add.description
    draft.calls.append(ToolCall("add_task", arguments))


def _draft_offer(draft: Draft, offer: Offer, tasks: Sequence[Task], memory: Memory) -> None:
    if offer.verb == "add":
        draft.notes.append(f"Shall I add {reply.named(reply.clipped(offer.words))} to your list?")
        draft.question = Question(offer)
        return
    match = resolve(offer.target, tasks, memory)
    if len(match.tasks) == 1:
        draft.notes.append(f"Shall I delete {reply.named(match.tasks[0].title)}?")
        ids = Reference("ids", numbers=(match.tasks[0].id,))
        draft.question = Question(replace(offer, target=ids))
    else:
        draft.notes.append(reply.saying(Say("noted")))


def _draft_change(draft: Draft, change: Change, tasks: Sequence[Task], memory: Memory) -> None:
    completing = change.verb == "complete"
    if not change.certain and completing and qualified(change.target.words):
        draft.notes.append(reply.saying(Say("noted")))
        return
    if not change.certain and completing:
        told = told_done(change.target.words, tasks)
        open_ones = [task for task in told if not task.completed] or told
        several = change.target.words.casefold().startswith(("both ", "all "))
        match = Match(tuple(open_ones)) if len(open_ones) == 1 or (several and told) else Match(
            unclear=tuple(open_ones), missing=() if open_ones else ("",)
        )  # fmt: skip
        if match.missing:
            draft.notes.append(reply.saying(Say("noted")))
            return
    else:
        match = resolve(change.target, tasks, memory, prefer_open=completing)
    if match.pointless:
        draft.notes.append("There is no such task on your list, so there was nothing to do.")
    elif match.unclear:
        draft.notes.append(reply.which(change.verb, match.unclear))
        draft.question = Question(change, match.unclear)
    elif match.missing:
        doubtful = change.told and not change.certain
        draft.notes.append(reply.saying(Say("noted")) if doubtful else reply.absent(match.missing))
    if match.unclear:
        return
    if not completing and not change.certain and not _is_meant(change.target, match.tasks):
        ids = Reference("ids", numbers=(match.tasks[0].id,))
        _draft_offer(draft, Offer("delete", change.target.words, ids), tasks, memory)
        return
    for task in match.tasks:
        call = ToolCall(f"{change.verb}_task", {"task_id": task.id})
        if call not in draft.calls:
            draft.calls.append(call)


def _is_meant(target: Reference, found: Sequence[Task]) -> bool:
    """Whether words that name no task as a task still cannot but mean the ones found."""
    return all(fit(task.title, target.words) >= MEANT_MIN for task in found)


def _draft_ask(draft: Draft, ask: Ask, tasks: Sequence[Task], memory: Memory) -> None:
    match = resolve(ask.target, tasks, memory)
    found = match.tasks or match.unclear
    if found:
        draft.notes.append(reply.state(found))
    elif match.missing:
        words = reply.named(reply.clipped(match.missing[0]))
        draft.notes.append(f"No, I see no task about {words} on your list.")
    else:
        draft.notes.append("No, I see no such task on your list.")


def _draft_edit(draft: Draft, intent: Edit | Reword, tasks: Sequence[Task], memory: Memory) -> None:
    edit, match = _best_reading(intent, tasks, memory)
    if match.pointless:
        draft.notes.append("Your list holds no such task, so I changed nothing.")
        return
    if match.unclear or len(match.tasks) > 1:
        unclear = match.unclear or match.tasks
        draft.notes.append(reply.which("change", unclear))
        draft.question = Question(edit, unclear)
        return
    if not match.tasks:
        doubtful = edit.swapped
        draft.notes.append(reply.saying(Say("noted")) if doubtful else reply.absent(match.missing))
        return
    task = match.tasks[0]
    if edit.title is None and edit.description is None:
        draft.notes.append(f"What should {reply.named(task.title)} say instead?")
        ids = Reference("ids", numbers=(task.id,))
        draft.question = Question(replace(edit, target=ids))
        return
    arguments: dict[str, object] = {"task_id": task.id}
    title = _new_title(edit, task)
    if edit.replaced is not None and title is None:
        wanted = reply.named(reply.clipped(edit.replaced))
        draft.notes.append(f"{reply.named(task.title)} doesn't say {wanted}, so I left it.")
        return
    if title is not None:
        arguments["title"] = title
    if edit.description is not None:
        arguments["description"] = edit.description
    draft.calls.append(ToolCall("update_task", arguments))


def _best_reading(
    intent: Edit | Reword, tasks: Sequence[Task], memory: Memory
) -> tuple[Edit, Match]:
    """The cut whose first half names a task best: "talk to Bo | talk to Al"."""
    readings = intent.readings if isinstance(intent, Reword) else (intent,)
    scored: list[tuple[float, Edit, Match]] = []
    for edit in readings:
        match = resolve(edit.target, tasks, memory)
        if edit.swapped and not match.tasks:
            match = holding(edit.target.words, tasks, memory)
        score = 0.0
        if match.tasks:
            held = [fit(task.title, edit.target.words) for task in match.tasks]
            ended = edit.target.words.casefold().endswith((" task", " one", " item"))
            score = 1.0 + ended + max(held) if edit.target.naming == "words" else 3.0
        elif match.unclear:
            score = 0.5
        scored.append((score, edit, match))
    _, edit, match = max(scored, key=lambda reading: reading[0])
    return edit, match


def _new_title(edit: Edit, task: Task) -> str | None:
    if edit.title is None:
        return None
    if edit.swapped and edit.replaced is not None:
        return exchanged(task.title, edit.replaced, edit.title)
    if edit.replaced is not None:
        place = task.title.casefold().find(edit.replaced.casefold())
        if place < 0:
            return None
        return task.title[:place] + edit.title + task.title[place + len(edit.replaced) :]
    if edit.appended:
        return f"{task.title} {edit.title}"
    if edit.target.naming == "words" and names_part(task.title, edit.target.words, edit.title):
        return exchanged(task.title, edit.target.words, edit.title)
    if edit.title.isdecimal() and (renumbered := with_number(task.title, edit.title)):
        return renumbered
    return redated(task.title, edit.title, always=edit.dated)
