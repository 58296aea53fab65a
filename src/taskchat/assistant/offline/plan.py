"""From the conversation so far to the next step. Every turn ends: calls are counted, not retried."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from taskchat.assistant.offline import reply
from taskchat.assistant.offline.dates import redated
from taskchat.assistant.offline.history import (
    CHANGING,
    Step,
    Turn,
    memory_of,
    tasks_of,
    turns_of,
)
from taskchat.assistant.offline.intents import (
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
from taskchat.assistant.offline.matching import (
    Match,
    Memory,
    Task,
    fit,
    fitting,
    resolve,
    same_deed,
    told_done,
    with_status,
)
from taskchat.assistant.offline.understand import understand

CALLS_MAX = 50
"""Calls in one response."""

CALLS_TURN_MAX = 200
"""Changing calls in one turn; four responses, well inside the service's limit on model calls."""

QUESTIONS_BACK_MAX = 5
"""Questions that may follow one another before the first is forgotten."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call to make."""

    name: str
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True)
class Next:
    """The next step of the turn: calls to make, or the reply that ends it."""

    calls: tuple[ToolCall, ...] = ()
    reply: str = ""


@dataclass(frozen=True, slots=True)
class _Question:
    """What the assistant asked: which of these tasks to act on, or yes or no, or new words."""

    intent: Intent
    candidates: tuple[Task, ...] = ()


@dataclass(slots=True)
class _Draft:
    calls: list[ToolCall] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shows: list[Show] = field(default_factory=list)
    question: _Question | None = None
    awaiting: bool = False


def next_step(items: str | Sequence[object], offered: frozenset[str]) -> Next:
    """What to do next.

    Args:
        items: A model's input: the conversation, the turn's calls and outputs included.
        offered: Names of the tools that may be called.

    Returns:
        Calls to offered tools only, `CALLS_MAX` at most; or a reply, never both, never neither.
    """
    turns = turns_of(items)
    if not turns:
        return Next(reply=reply.HELP)
    turn, earlier = turns[-1], turns[:-1]
    intents = _intents(turn, earlier, depth=0)
    lists = [step for step in turn.steps if step.name == "list_tasks"]
    done = [step for step in turn.steps if step.name in CHANGING]
    if _needs_list(intents) and not lists:
        if "list_tasks" not in offered:
            return Next(reply="I can't look at your tasks here, so I changed nothing.")
        return Next(calls=(_listing(_status(intents)),))
    if lists and lists[0].result is None and not done:
        return Next(reply=f"I couldn't read your list: {reply.clipped_error(lists[0].error)}")
    tasks = tasks_of(lists[0]) if lists and _needs_list(intents) else []
    draft = _draft(turn, intents, tasks, memory_of(earlier, tasks))
    todo = draft.calls[len(done) : len(done) + CALLS_MAX]
    if todo and len(done) < CALLS_TURN_MAX:
        barred = sorted({call.name for call in todo} - offered)
        if barred:
            return Next(reply=_closing(turn, draft, done, tasks, f"I can't use {barred[0]} here."))
        return Next(calls=tuple(todo))
    if draft.shows and done and turn.steps[-1].name != "list_tasks" and "list_tasks" in offered:
        return Next(calls=(_listing(draft.shows[0].status),))
    return Next(reply=_closing(turn, draft, done, tasks, ""))


def _listing(status: str) -> ToolCall:
    return ToolCall("list_tasks", {"status": status})


def _needs_list(intents: Sequence[Intent]) -> bool:
    return any(
        isinstance(intent, Change | Edit | Reword | Ask | Show)
        or (isinstance(intent, Add) and intent.soft)
        or (isinstance(intent, Offer) and intent.verb == "delete")
        for intent in intents
        if not (isinstance(intent, Show) and len(intents) > 1)
    )


def _status(intents: Sequence[Intent]) -> str:
    only = intents[0] if len(intents) == 1 else None
    return only.status if isinstance(only, Show) else "all"


def _closing(
    turn: Turn, draft: _Draft, done: Sequence[Step], tasks: Sequence[Task], problem: str
) -> str:
    sentences = [reply.outcome(done, tasks)] if done else []
    if len(draft.calls) > len(done) and not problem:
        sentences.append(f"{len(draft.calls) - len(done)} more are left: ask me again for those.")
    sentences += [problem] if problem else []
    sentences += draft.notes
    for show in draft.shows[:1]:
        last = [step for step in turn.steps if step.name == "list_tasks"][-1:]
        if last and last[0].result is None:
            sentences.append(f"I couldn't read your list: {reply.clipped_error(last[0].error)}")
        elif last:
            sentences.append(_shown(show, last[0]))
    return "\n\n".join(s for s in sentences if s) or reply.saying(Say("unknown"))


def _shown(show: Show, step: Step) -> str:
    rows = with_status(tasks_of(step), show.status)
    total = (step.result or {}).get("total")
    if show.words:
        narrowed = fitting(show.words, rows)
        show = show if narrowed else replace(show, words="")
        rows = narrowed or rows
    return reply.listing(show, rows, total if isinstance(total, int) else len(rows))


def _intents(turn: Turn, earlier: Sequence[Turn], *, depth: int) -> tuple[Intent, ...]:
    """The turn's intents, an answer to the last question or a continuation included."""
    heard = understand(turn.said)
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


def _asked(earlier: Sequence[Turn], *, depth: int) -> _Question | None:
    """The question that the last reply asked, worked out anew from what led to it."""
    last = earlier[-1]
    if "?" not in last.reply or depth >= QUESTIONS_BACK_MAX:
        return None
    before = earlier[:-1]
    intents = _intents(last, before, depth=depth + 1)
    lists = [step for step in last.steps if step.name == "list_tasks"]
    tasks = tasks_of(lists[0]) if lists else []
    return _draft(last, intents, tasks, memory_of(before, tasks)).question


def _answered(
    question: _Question, heard: Understanding, first: Intent, *, vague: bool
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
        return (replace(intent, title=heard.text),)
    if not question.candidates:
        return None
    chosen = _chosen(question, heard, first, vague=vague)
    if chosen is None:
        return None
    target = Reference("ids", numbers=tuple(task.id for task in chosen), plural=len(chosen) > 1)
    if isinstance(intent, Change | Edit | Ask):
        return (replace(intent, target=target),)
    if isinstance(intent, Reword):
        return (replace(intent.readings[0], target=target),)
    return None


def _chosen(
    question: _Question, heard: Understanding, first: Intent, *, vague: bool
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
    """ "And the second one too" repeats what the last turn did, on another task."""
    if not heard.again or heard.bare is None or depth >= QUESTIONS_BACK_MAX:
        return None
    names = [step.name for step in earlier[-1].steps if step.name in CHANGING]
    if not names:
        meant = _intents(earlier[-1], earlier[:-1], depth=depth + 1)[0]
        return (replace(meant, target=heard.bare),) if isinstance(meant, Change) else None
    if names[-1] == "complete_task" and heard.bare.naming != "vague":
        return (Change("complete", heard.bare),)
    if names[-1] == "delete_task" and heard.bare.naming != "vague":
        return (Change("delete", heard.bare),)
    if names[-1] == "add_task" and heard.bare.naming == "words" and heard.text:
        return (Add(heard.text),)
    return None


def _draft(turn: Turn, intents: Sequence[Intent], tasks: Sequence[Task], memory: Memory) -> _Draft:
    """All that the turn's intents come to, given the list as it was when the turn began."""
    draft = _Draft()
    created = [step for step in turn.steps if step.name == "add_task"]
    known = list(tasks)
    added = 0
    pending_add = False
    for intent in intents:
        if draft.awaiting:
            break
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
                draft.question = _Question(intent)
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
    return draft


def _draft_add(draft: _Draft, add: Add, tasks: Sequence[Task]) -> None:
    same = same_deed(add.title, tasks) if add.soft else []
    if same:
        draft.notes.append(f"{reply.named(same[0].title)} is already on your list.")
        return
    arguments: dict[str, object] = {"title": add.title}
    if add.description:
        arguments["description"] = add.description
    draft.calls.append(ToolCall("add_task", arguments))


def _draft_offer(draft: _Draft, offer: Offer, tasks: Sequence[Task], memory: Memory) -> None:
    if offer.verb == "add":
        draft.notes.append(f"Shall I add {reply.named(reply.clipped(offer.words))} to your list?")
        draft.question = _Question(offer)
        return
    match = resolve(offer.target, tasks, memory)
    if len(match.tasks) == 1:
        draft.notes.append(f"Shall I delete {reply.named(match.tasks[0].title)}?")
        ids = Reference("ids", numbers=(match.tasks[0].id,))
        draft.question = _Question(replace(offer, target=ids))
    else:
        draft.notes.append(reply.saying(Say("noted")))


def _draft_change(draft: _Draft, change: Change, tasks: Sequence[Task], memory: Memory) -> None:
    completing = change.verb == "complete"
    if not change.certain:
        told = told_done(change.target.words, tasks)
        open_ones = [task for task in told if not task.completed] or told
        match = Match(tuple(open_ones)) if len(open_ones) == 1 else Match(
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
        draft.question = _Question(change, match.unclear)
    elif match.missing:
        draft.notes.append(reply.absent(match.missing))
    if match.unclear:
        return
    for task in match.tasks:
        call = ToolCall(f"{change.verb}_task", {"task_id": task.id})
        if call not in draft.calls:
            draft.calls.append(call)


def _draft_ask(draft: _Draft, ask: Ask, tasks: Sequence[Task], memory: Memory) -> None:
    match = resolve(ask.target, tasks, memory)
    found = match.tasks or match.unclear
    if found:
        draft.notes.append(reply.state(found))
    elif match.missing:
        words = reply.named(reply.clipped(match.missing[0]))
        draft.notes.append(f"No, I see no task about {words} on your list.")
    else:
        draft.notes.append("No, I see no such task on your list.")


def _draft_edit(
    draft: _Draft, intent: Edit | Reword, tasks: Sequence[Task], memory: Memory
) -> None:
    edit, match = _best_reading(intent, tasks, memory)
    if match.pointless:
        draft.notes.append("Your list holds no such task, so I changed nothing.")
        return
    if match.unclear or len(match.tasks) > 1:
        unclear = match.unclear or match.tasks
        draft.notes.append(reply.which("change", unclear))
        draft.question = _Question(edit, unclear)
        return
    if not match.tasks:
        draft.notes.append(reply.absent(match.missing))
        return
    task = match.tasks[0]
    if edit.title is None and edit.description is None:
        draft.notes.append(f"What should {reply.named(task.title)} say instead?")
        ids = Reference("ids", numbers=(task.id,))
        draft.question = _Question(replace(edit, target=ids))
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
    best: tuple[float, Edit, Match] | None = None
    for edit in readings:
        match = resolve(edit.target, tasks, memory)
        score = 0.0
        if match.tasks:
            held = [fit(task.title, edit.target.words) for task in match.tasks]
            ended = edit.target.words.casefold().endswith((" task", " one", " item"))
            score = 1.0 + ended + max(held) if edit.target.naming == "words" else 3.0
        elif match.unclear:
            score = 0.5
        if best is None or score > best[0] + 0.01:
            best = (score, edit, match)
    assert best is not None
    return best[1], best[2]


def _new_title(edit: Edit, task: Task) -> str | None:
    if edit.title is None:
        return None
    if edit.replaced is not None:
        place = task.title.casefold().find(edit.replaced.casefold())
        if place < 0:
            return None
        return task.title[:place] + edit.title + task.title[place + len(edit.replaced) :]
    if edit.appended:
        return f"{task.title} {edit.title}"
    return redated(task.title, edit.title, always=edit.dated)
