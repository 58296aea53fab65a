"""A tool's effect and its record, in one transaction, keyed by turn and call id.

Either both are stored or neither is. The transaction begins with the fence: a process that lost its
turn to another one writes nothing more into it.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from uuid import UUID, uuid5

from taskchat.assistant.approvals import ApprovalRule, Called, needing_approval
from taskchat.assistant.asking_user import ASK_USER, problem_with
from taskchat.assistant.models.soundness import calls_in
from taskchat.assistant.record import Answer, AwaitsUser
from taskchat.conversations.history import InputItem
from taskchat.conversations.schemas import ToolCallOut
from taskchat.errors import DatabaseError, ModelError
from taskchat.feedback.decisions import Decisions
from taskchat.postgres.database import Database
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal
from taskchat.tasks.calling import Result, ToolFailure
from taskchat.tasks.effects import TaskEffect
from taskchat.telemetry import metrics
from taskchat.turns import store
from taskchat.turns.event_log import EventWriter
from taskchat.turns.events import (
    OpenAICall,
    OpenAIResponse,
    ToolCallEvent,
    ToolResultEvent,
    UserMessage,
    around,
)
from taskchat.turns.states import Claim, Steered, Unread


class TurnLost(Exception):
    """Another process owns the turn now, or it was cancelled; this one stops quietly."""


class TurnLedger:
    """The record of one attempt at a turn.

    Args:
        database: Where the record is stored.
        held: The attempt.
        answers_kept: Answers on record from earlier attempts, with what they cost.
        events: The writer of its events.
        calls: Executed calls from earlier attempts, by the model's ids.
        approvals: Which calls need the user's yes.
        decisions: What they have decided so far.
        steered: What its user has said since the turn began, as far as it has been read.
        unread: Whether there may be more of that.
        manner: How the offline model should behave, if the request says so.
        script: What the scripted model should say, if the request says so.
        tool_calls_max: The most tool calls of one turn.
    """

    def __init__(
        self,
        database: Database,
        held: Claim,
        events: EventWriter,
        *,
        answers_kept: Sequence[Answer] = (),
        calls: Sequence[tuple[str, ToolCallOut]] = (),
        approvals: Sequence[ApprovalRule] = (),
        decisions: Decisions = MappingProxyType({}),
        steered: Sequence[Steered] = (),
        unread: Unread | None = None,
        manner: str | None = None,
        script: str | None = None,
        tool_calls_max: int,
    ) -> None:
        self.held = held
        self.events = events
        self.answers = list(answers_kept)
        self.calls = dict(calls)
        self.history: Sequence[InputItem] = ()
        self.broken: Exception | None = None
        self.manner = manner
        self.script = script
        self.steering = list(steered)
        self.decisions = decisions
        self.asked: str | None = self.answers[-1].model if self.answers else None
        self._database = database
        self._kept = len(self.answers)
        self._draft: Answer | None = None
        self._unread = unread or Unread()
        self._in_doubt = False
        self._approvals = approvals
        self._tool_calls_max = tool_calls_max

    @property
    def number(self) -> int:
        """The place of the turn in its conversation."""
        return self.held.turn.number

    @property
    def streams(self) -> bool:
        """Whether the model's text is wanted as it comes, because somebody reads along."""
        return self.held.channel.streams

    def asking(self, model: str) -> None:
        """Note that a model is being asked."""
        self.asked = model
        self.events.status("thinking")
        self.events.tell(OpenAICall, model=model)

    def heard(self, delta: str) -> None:
        """Note a piece of a model's text."""
        self.events.say(delta)

    def thought(self, delta: str) -> None:
        """Note a piece of what a model thinks aloud."""
        self.events.think(delta)

    def broke_off(self) -> None:
        """Note that a model's text so far is void."""
        self.events.end_stream(dropped=True)

    def answered(self, answer: Answer) -> None:
        """Note an answer of the model's. One without calls is a draft of the reply."""
        self.answers.append(answer)
        if any(item.get("type") == "function_call" for item in answer.items):
            self._tell_answer(answer, dropped=False)
        else:
            self._draft = answer

    def end_draft(self, *, dropped: bool = False) -> None:
        """Tell the draft of the reply, if there is one: as the reply, or as void."""
        if self._draft is not None:
            self._tell_answer(self._draft, dropped=dropped)
            self._draft = None

    def _tell_answer(self, answer: Answer, *, dropped: bool) -> None:
        self.events.end_stream(dropped=dropped)
        self.events.tell(
            OpenAIResponse,
            model=answer.model,
            prompt_tokens=answer.input_tokens,
            completion_tokens=answer.output_tokens,
            total_tokens=answer.input_tokens + answer.output_tokens,
            duration_ms=answer.duration_ms,
        )

    @property
    def has_unread(self) -> bool:
        """Whether the user may have said something that is unread, or was being read."""
        return self._unread.may_be or self._in_doubt

    async def steered(self) -> Sequence[str]:
        """Read what the user has said since the turn began, as far as that is unread.

        Raises:
            TurnLost: another process runs the turn now.
            DatabaseError: it is unknown what has been read; the record has to be read again.
        """
        if self._in_doubt:
            raise DatabaseError
        self._in_doubt = True
        async with self.events.carried():
            read = await self._read()
        self._in_doubt = False
        return [one.content for one in read]

    async def drop_draft(self) -> None:
        """Void the draft of the reply, and read what it did not know; inside `events.carried`.

        What it cost stays, and its number, but no model is told of it again.

        Raises:
            TurnLost: another process runs the turn now.
            DatabaseError: the outcome is unknown; the lease decides.
        """
        self._tell_answer(self.answers[-1], dropped=True)
        self.answers[-1] = replace(self.answers[-1], items=())
        await self._read()

    async def _read(self) -> list[Steered]:
        """Read, keep what was answered before, and tell of it, in one transaction."""
        turn, events = self.held.turn, self.events
        # Before the look: whatever is said after it gives a hint of its own.
        self._unread.may_be = False
        async with self._database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
            read = await store.steering.read(
                connection, self.held, answers=len(self.answers), calls=len(self.calls)
            )
            if read is None:
                raise TurnLost
            for one in read:
                events.add(UserMessage, message_id=one.id, content=one.content)
            if read:
                await store.steering.keep_answers(connection, turn, self.unkept)
            await store.feedback.tell(connection, turn, events.pending(), process=events.process)
        if read:
            self._kept = len(self.answers)
            self.steering += read
        return read

    def call(self, call_id: str, tool_name: str, arguments: dict[str, Any]) -> "LedgerCall":
        """A caller for one tool call.

        Raises:
            ModelError: the turn has made as many as it may.
            AwaitsUser: its user has to be asked first.
        """
        if call_id not in self.calls and len(self.calls) >= self._tool_calls_max:
            raise ModelError(
                f"The language model wanted more than {self._tool_calls_max} tool calls for one "
                "message. What was done is kept; ask for the rest in another message."
            )
        if call_id not in self.calls and call_id not in self.decisions:
            self._check_unasked((call_id, tool_name, arguments))
        call = LedgerCall(self, call_id, tool_name, arguments)
        if not call.recorded:
            self.events.tell(
                ToolCallEvent, tool_call_id=call.id, tool_name=tool_name, arguments=call.arguments
            )
        return call

    def _check_unasked(self, call: Called) -> None:
        """Check that a call may be made without asking.

        Raises:
            AwaitsUser: it may not.
        """
        call_id, tool_name, arguments = call
        if tool_name == ASK_USER.name:
            if problem_with(arguments) is None:
                raise AwaitsUser(
                    "question",
                    [call],
                    question=arguments["question"],
                    choices=arguments.get("choices", ()),
                )
            return
        made = [
            (id_, done.tool_name, done.parameters)
            for id_, done in self.calls.items()
            if done.status == "completed"
        ]
        waiting = [
            one
            for one in calls_in(self.answers[-1].items if self.answers else ())
            if one[0] not in self.calls and one[0] not in self.decisions
        ]
        asked = needing_approval(self._approvals, made, waiting)
        if call_id in asked:
            raise AwaitsUser("approval", [one for one in waiting if one[0] in asked])

    async def perform(
        self, call: "LedgerCall", effect: TaskEffect, result_type: type[Result]
    ) -> Result:
        """Carry out an effect and record it, once."""
        done = self.calls.get(call.call_id)
        if done is None:
            try:
                done = await self._record(call, effect)
            except BaseException as error:
                self.broken = self.broken or (error if isinstance(error, Exception) else None)
                raise
        if done.status != "completed":
            raise ToolFailure(str(done.result.get("error", "")))
        return result_type.model_validate(done.result)

    async def refuse(self, call: "LedgerCall", text: str) -> None:
        """Record a call that failed before any tool ran."""
        await self._record(call, TaskEffect(None, refusal=text))

    async def give(self, call: "LedgerCall", result: dict[str, Any]) -> None:
        """Record a call that no tool had to run for."""
        await self._record(call, TaskEffect(None), given=result)

    @property
    def unkept(self) -> list[tuple[int, Answer]]:
        """What the model has answered since the last commit, by number in the turn."""
        return list(enumerate(self.answers, 1))[self._kept :]

    async def _record(
        self, call: "LedgerCall", effect: TaskEffect, *, given: dict[str, Any] | None = None
    ) -> ToolCallOut:
        """Commit an effect with its record, what the model decided before it, and the events."""
        async with self.events.carried() as events:
            told = events.next(
                ToolResultEvent,
                tool_call_id=call.id,
                tool_name=call.tool_name,
                result={},
                duration_ms=0,
                is_error=False,
            )
            recorded = await store.record.call_tool(
                self._database,
                self.held,
                process=events.process,
                id_=call.id,
                call_id=call.call_id,
                position=len(self.calls),
                tool_name=call.tool_name,
                arguments=call.arguments,
                effect=effect,
                given=given,
                answers=self.unkept,
                events=events.pending(),
                result_seq=told.seq,
                result_head=around(told, "result", "{}")[0],
            )
            if recorded is None:
                raise TurnLost
            events.add_stored(replace(told, data=recorded.event))
        done = ToolCallOut(
            id=call.id,
            tool_name=call.tool_name,
            parameters=dict(call.arguments),
            result=json.loads(recorded.result),
            status=recorded.status,
            executed_at=recorded.executed_at,
        )
        self._committed(call, done)
        return done

    def _committed(self, call: "LedgerCall", done: ToolCallOut) -> None:
        self._kept = len(self.answers)
        self.calls[call.call_id] = done
        metrics.TOOL_CALLS.labels(call.tool_name, done.status, "turn").inc()
        metrics.TOOL_SECONDS.labels(call.tool_name).observe(time.monotonic() - call.began)


def told_id(turn_id: UUID, call_id: str) -> UUID:
    """The id by which a call is told: the same in every attempt, so that readers see one call."""
    return uuid5(turn_id, call_id)


class LedgerCall:
    """One tool call of the turn: who acts, and where its outcome is recorded."""

    def __init__(
        self, ledger: TurnLedger, call_id: str, tool_name: str, arguments: dict[str, Any]
    ) -> None:
        self.id = told_id(ledger.held.turn.id, call_id)
        self.call_id = call_id
        self.tool_name = tool_name
        self.decision = ledger.decisions.get(call_id)
        edited = self.decision.arguments if self.decision else None
        self.arguments: Mapping[str, Any] = arguments if edited is None else edited
        self.began = time.monotonic()
        self._ledger = ledger

    @property
    def principal(self) -> Principal:
        """The user whose turn it is."""
        return self._ledger.held.turn.principal

    @property
    def conversation_id(self) -> UUID:
        """The conversation whose turn it is."""
        return self._ledger.held.turn.conversation_id

    @property
    def recorded(self) -> bool:
        """Whether the call's outcome is on record."""
        return self.call_id in self._ledger.calls

    def question_about(self, name: str, arguments: Mapping[str, Any]) -> str | None:
        """Nothing: whatever has to be asked was asked before the call."""
        return None

    async def perform(self, effect: TaskEffect, result_type: type[Result]) -> Result:
        """Carry out the effect and record it, in one transaction."""
        return await self._ledger.perform(self, effect, result_type)

    async def record_refusal(self, text: str) -> None:
        """Record a call that was refused before any tool ran."""
        await self._ledger.refuse(self, text)

    async def record_result(self, result: dict[str, Any]) -> None:
        """Record a call that no tool had to run for."""
        await self._ledger.give(self, result)
