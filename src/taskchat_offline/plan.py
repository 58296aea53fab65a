"""From the conversation so far to the next step. Every turn ends: no call is made twice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskchat_offline import reply
from taskchat_offline.answering import intents_of
from taskchat_offline.drafting import Draft, ToolCall
from taskchat_offline.history import CHANGING, Step, Turn, memory_of, tasks_of, turns_of
from taskchat_offline.intents import Add, Ask, Change, Edit, Intent, Offer, Reword, Say, Show
from taskchat_offline.matching import Task, fitting, with_status
from taskchat_offline.second import drafted, may_be_doubted

CALLS_MAX = 50
"""Calls in one response."""

CALLS_TURN_MAX = 200
"""Changing calls in one turn; four responses, well inside the service's limit on model calls."""


@dataclass(frozen=True, slots=True)
class Next:
    """The next step of the turn: calls to make, or the reply that ends it."""

    calls: tuple[ToolCall, ...] = ()
    reply: str = ""


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
    intents = intents_of(turn, earlier, depth=0)
    lists = [step for step in turn.steps if step.name == "list_tasks"]
    done = [step for step in turn.steps if step.name in CHANGING]
    doubted = may_be_doubted(turn.said, intents) and "list_tasks" in offered
    if (_needs_list(intents) or doubted) and not lists and not done:
        if "list_tasks" not in offered:
            return Next(reply="I can't look at your tasks here, so I changed nothing.")
        return Next(calls=(_listing(_status(intents)),))
    if lists and lists[0].result is None and not done:
        return Next(reply=f"I couldn't read your list: {reply.clipped_error(lists[0].error)}")
    tasks = tasks_of(lists[0]) if lists else []
    draft = drafted(turn, intents, tasks, memory_of(earlier, tasks)).draft
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
        if not (isinstance(intent, Show) and any(isinstance(i, Add) for i in intents))
    )


def _status(intents: Sequence[Intent]) -> str:
    telling = [intent for intent in intents if not isinstance(intent, Say)]
    only = telling[0] if len(telling) == 1 else None
    return only.status if isinstance(only, Show) else "all"


def _closing(
    turn: Turn, draft: Draft, done: Sequence[Step], tasks: Sequence[Task], problem: str
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
