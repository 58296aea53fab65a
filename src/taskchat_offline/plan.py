"""From the conversation so far to the next step. Every turn ends: no call is made twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from taskchat_offline import reply
from taskchat_offline.history import Step, ToolCall, Turn, tasks_of, turns_of
from taskchat_offline.matching import Task, fitting, with_status
from taskchat_offline.policy import Draft, Show, acts_of, draft_of, state_after
from taskchat_offline.reading import Act

CALLS_MAX: Final = 50
"""Calls in one response."""

CALLS_TURN_MAX: Final = 200
"""Changing calls in one turn; four responses, well inside the service's limit on model calls."""

LEAD_MIN: Final = 40
"""Below this, what seems to need no look at the list is read again with it."""

_LISTLESS: Final = frozenset({"add", "hello", "thanks", "bye", "help", "calloff"})
"""What can be done without a look at the list."""


@dataclass(frozen=True, slots=True)
class Next:
    """The next step of the turn: calls to make, or the reply that ends it."""

    calls: tuple[ToolCall, ...] = ()
    reply: str = ""


def next_step(items: str | Sequence[object], offered: frozenset[str]) -> Next:
    """What to do next: calls to offered tools, `CALLS_MAX` at most, or a reply, never both.

    `items` are a model's input: the conversation, the turn's calls and outputs included.
    """
    turns = turns_of(items)
    if not turns:
        return Next(reply=reply.saying("help"))
    turn, earlier = turns[-1], turns[:-1]
    state = state_after(earlier)
    acts = acts_of(turn, state)
    lists, done = turn.looks, turn.changes
    if not lists and not done and (state.question is not None or _needs_list(acts)):
        if "list_tasks" in offered:
            status = "all" if state.question is not None else _status(acts)
            return Next(calls=(ToolCall("list_tasks", {"status": status}),))
        if _needs_list(acts):
            return Next(reply="I can't look at your tasks here, so I changed nothing.")
    if lists and lists[0].result is None and not done:
        return Next(reply=f"I couldn't read your list: {reply.clipped(lists[0].error, 300)}")
    tasks = tasks_of(lists[0]) if lists else []
    draft = draft_of(turn, state, acts)
    todo = draft.calls[len(done) : len(done) + CALLS_MAX]
    if todo and len(done) < CALLS_TURN_MAX:
        barred = sorted({call.name for call in todo} - offered)
        if barred:
            return Next(reply=_closing(turn, draft, done, tasks, f"I can't use {barred[0]} here."))
        return Next(calls=tuple(todo))
    if draft.shows and "list_tasks" in offered and _must_look(turn, draft.shows[0], done):
        return Next(calls=(ToolCall("list_tasks", {"status": draft.shows[0].status}),))
    return Next(reply=_closing(turn, draft, done, tasks, ""))


def _needs_list(acts: Sequence[Act]) -> bool:
    return not all(
        act.label in _LISTLESS
        and (
            "T" in act.slots and act.ordered
            if act.label == "add"
            else act.lead >= LEAD_MIN and not act.telling
        )
        for act in acts
    )


def _status(acts: Sequence[Act]) -> str:
    telling = [act for act in acts if act.label not in {"hello", "thanks", "bye", "chat"}]
    if len(telling) == 1 and telling[0].label.startswith("list "):
        return telling[0].label.removeprefix("list ")
    return "all"


def _must_look(turn: Turn, show: Show, done: Sequence[Step]) -> bool:
    last = turn.steps[-1] if turn.steps else None
    if last is None or (done and last.name != "list_tasks"):
        return True
    seen = last.arguments.get("status", "all")
    return last.name == "list_tasks" and last.result is not None and seen != show.status


def _closing(
    turn: Turn, draft: Draft, done: Sequence[Step], tasks: Sequence[Task], problem: str
) -> str:
    sentences = [reply.outcome(done, tasks)] if done else []
    if len(draft.calls) > len(done) and not problem:
        sentences.append(f"{len(draft.calls) - len(done)} more are left: ask me again for those.")
    sentences += [problem] if problem else []
    sentences += draft.notes
    if draft.shows and turn.looks:
        sentences.append(_shown(draft.shows[0], turn.looks[-1]))
    return "\n\n".join(s for s in sentences if s) or reply.saying("chat")


def _shown(show: Show, step: Step) -> str:
    if step.result is None:
        return f"I couldn't read your list: {reply.clipped(step.error, 300)}"
    rows = with_status(tasks_of(step), show.status)
    total = step.result.get("total")
    narrowed = fitting(show.words, rows) if show.words else []
    return reply.listing(
        narrowed or rows,
        total if isinstance(total, int) else len(rows),
        status=show.status,
        words=show.words if narrowed else "",
        counted=show.counted,
    )
