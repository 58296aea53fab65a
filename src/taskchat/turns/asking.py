"""A run that can't go on before its user has said something: the turn waits, and holds nothing."""

from dataclasses import replace
from typing import Final

from taskchat.assistant.record import AwaitsUser
from taskchat.feedback.decisions import AskedCall, question_about
from taskchat.moments import new_id
from taskchat.postgres.line import Precedence
from taskchat.tasks.tools import task_number
from taskchat.turns import store
from taskchat.turns.deps import TurnDeps
from taskchat.turns.events import AgentStatus, FeedbackRequest, ToolCallEvent, around
from taskchat.turns.ledger import TurnLedger, TurnLost, told_id
from taskchat.turns.states import TurnState

UNKNOWN: Final = "null"
"""Stands for the time at which a request expires, which only the database's clock decides."""


async def ask_user(ledger: TurnLedger, asked: AwaitsUser, *, deps: TurnDeps) -> TurnState:
    """Store what is asked with what the model has decided, and give the turn up.

    Raises:
        TurnLost: another process runs the turn now.
        DatabaseError: the outcome is unknown; the lease decides.
    """
    turn = ledger.held.turn
    calls = await _calls(ledger, asked, deps)
    question = asked.question or question_about(
        (call.tool_name, call.arguments, call.subject) for call in calls
    )
    feedback_id = new_id()
    ledger.events.end_stream()
    async with ledger.events.carried() as events:
        for call in calls:
            events.add(
                ToolCallEvent,
                tool_call_id=call.id,
                tool_name=call.tool_name,
                arguments=dict(call.arguments),
            )
        events.add(AgentStatus, status="awaiting_feedback")
        told = events.next(
            FeedbackRequest,
            feedback_id=feedback_id,
            # Before whatever a model has written.
            expires_at=None,
            kind=asked.kind,
            question=question,
            choices=list(asked.choices),
            calls=[
                {
                    "tool_call_id": call.id,
                    "tool_name": call.tool_name,
                    "arguments": dict(call.arguments),
                    "subject": call.subject,
                }
                for call in calls
            ],
        )
        event = await store.feedback.ask(
            deps.database,
            ledger.held,
            process=events.process,
            feedback_id=feedback_id,
            kind=asked.kind,
            question=question,
            choices=asked.choices,
            calls=calls,
            expires_s=deps.settings.feedback_expires_s,
            answers=ledger.unkept,
            events=events.pending(),
            asked_seq=told.seq,
            asked=around(told, "expires_at", UNKNOWN),
        )
        if event is None:
            raise TurnLost
        events.add_stored(replace(told, data=event))
    return TurnState(turn, "awaiting_feedback", None, None)


async def _calls(ledger: TurnLedger, asked: AwaitsUser, deps: TurnDeps) -> list[AskedCall]:
    """The calls that wait, with the titles of the tasks that they name."""
    turn = ledger.held.turn
    numbers = {call_id: task_number(given.get("task_id")) for call_id, _, given in asked.calls}
    tasks = [number for number in numbers.values() if number is not None]
    titles: dict[int, str] = {}
    if tasks:
        async with deps.database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
            titles = await store.feedback.titles(connection, turn, tasks)
    return [
        AskedCall(
            told_id(turn.id, call_id),
            call_id,
            tool_name,
            arguments,
            titles.get(numbers[call_id] or 0),
        )
        for call_id, tool_name, arguments in asked.calls
    ]
