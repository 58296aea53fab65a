"""A tool's effect and its record, in one transaction, keyed by turn and call id.

Either both are stored or neither is. The transaction begins with the fence: a process that lost its
turn to another one writes nothing more into it.
"""

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid5

from taskchat.assistant.record import Answer
from taskchat.conversations.history import InputItem
from taskchat.conversations.schemas import ToolCallOut, ToolCallStatus
from taskchat.errors import ModelError
from taskchat.postgres.database import Connection, Database
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal
from taskchat.tasks.tools import Effect, Result, ToolFailure
from taskchat.turns import store
from taskchat.turns.event_log import EventWriter
from taskchat.turns.events import OpenAICall, OpenAIResponse, ToolCallEvent, ToolResultEvent
from taskchat.turns.states import Claim


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
        manner: How the offline model should behave, if the request says so.
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
        manner: str | None = None,
        tool_calls_max: int,
    ) -> None:
        self.held = held
        self.events = events
        self.answers = list(answers_kept)
        self.calls = dict(calls)
        self.history: Sequence[InputItem] = ()
        self.broken: Exception | None = None
        self.manner = manner
        self.asked: str | None = self.answers[-1].model if self.answers else None
        self._database = database
        self._kept = len(self.answers)
        self._tool_calls_max = tool_calls_max

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
        """Note an answer of the model's."""
        self.events.end_stream()
        self.events.tell(
            OpenAIResponse,
            model=answer.model,
            prompt_tokens=answer.input_tokens,
            completion_tokens=answer.output_tokens,
            total_tokens=answer.input_tokens + answer.output_tokens,
            duration_ms=answer.duration_ms,
        )
        self.answers.append(answer)

    def call(self, call_id: str, tool_name: str, arguments: dict[str, Any]) -> "LedgerCall":
        """A caller for one tool call.

        Raises:
            ModelError: the turn has made as many as it may.
        """
        if call_id not in self.calls and len(self.calls) >= self._tool_calls_max:
            raise ModelError(
                f"The language model wanted more than {self._tool_calls_max} tool calls for one "
                "message. What was done is kept; ask for the rest in another message."
            )
        call = LedgerCall(self, call_id, tool_name, arguments)
        if not call.recorded:
            self.events.tell(
                ToolCallEvent, tool_call_id=call.id, tool_name=tool_name, arguments=arguments
            )
        return call

    async def perform(
        self,
        call: "LedgerCall",
        effect: Effect[Result],
        result_type: type[Result],
    ) -> Result:
        """Run an effect and record it, once."""
        known = self.calls.get(call.call_id)
        if known is not None:
            if known.status != "completed":
                raise ToolFailure(str(known.result.get("error", "")))
            return result_type.model_validate(known.result)
        began = time.monotonic()
        try:
            async with (
                self.events.carried(),
                self._database.transaction(call.principal, Precedence.ACCEPTED) as connection,
            ):
                await self._fence(connection)
                failure: ToolFailure | None = None
                try:
                    result = await effect(connection, call.principal)
                    shown = result.model_dump(mode="json")
                except ToolFailure as refused:
                    # The rules refuse before they change anything: only the refusal is kept.
                    failure, shown = refused, {"error": str(refused)}
                recorded = await self._record(
                    connection, call, shown, "failed" if failure else "completed", began
                )
        except BaseException as error:
            self.broken = self.broken or (error if isinstance(error, Exception) else None)
            raise
        self._committed(call, recorded)
        if failure is not None:
            raise failure
        return result

    async def refuse(self, call: "LedgerCall", text: str) -> None:
        """Record a call that failed before any tool ran."""
        async with (
            self.events.carried(),
            self._database.transaction(call.principal, Precedence.ACCEPTED) as connection,
        ):
            await self._fence(connection)
            recorded = await self._record(
                connection, call, {"error": text}, "failed", time.monotonic()
            )
        self._committed(call, recorded)

    async def _fence(self, connection: Connection) -> None:
        if not await store.record.still_ours(connection, self.held):
            raise TurnLost

    async def _record(
        self,
        connection: Connection,
        call: "LedgerCall",
        result: dict[str, Any],
        status: ToolCallStatus,
        began: float,
    ) -> ToolCallOut:
        await self._keep_answers(connection)
        duration_ms = round((time.monotonic() - began) * 1000)
        self.events.add(
            ToolResultEvent,
            tool_call_id=call.id,
            tool_name=call.tool_name,
            result=result,
            duration_ms=duration_ms,
            is_error=status != "completed",
        )
        executed_at = await store.record.insert_call(
            connection,
            self.held.turn,
            {
                "id": call.id,
                "call_id": call.call_id,
                "position": len(self.calls),
                "tool_name": call.tool_name,
                "parameters": call.arguments,
                "result": result,
                "status": status,
                "duration_ms": duration_ms,
            },
            self.events.pending(),
            process=self.events.process,
        )
        return ToolCallOut(
            id=call.id,
            tool_name=call.tool_name,
            parameters=call.arguments,
            result=result,
            status=status,
            executed_at=executed_at,
        )

    async def _keep_answers(self, connection: Connection) -> None:
        """Store what the model decided with the first commit that follows from it."""
        unkept = self.answers[self._kept :]
        if unkept:
            await store.record.insert_answers(
                connection,
                self.held.turn,
                [
                    {
                        "number": number,
                        "model": answer.model,
                        "items": list(answer.items),
                        "input_tokens": answer.input_tokens,
                        "cached_input_tokens": answer.cached_input_tokens,
                        "output_tokens": answer.output_tokens,
                        "duration_ms": answer.duration_ms,
                    }
                    for number, answer in enumerate(unkept, self._kept + 1)
                ],
            )

    def _committed(self, call: "LedgerCall", recorded: ToolCallOut) -> None:
        self._kept = len(self.answers)
        self.calls[call.call_id] = recorded


class LedgerCall:
    """One tool call of the turn: who acts, and where its outcome is recorded."""

    def __init__(
        self, ledger: TurnLedger, call_id: str, tool_name: str, arguments: dict[str, Any]
    ) -> None:
        # The same in every attempt, so that whoever follows the turn sees one call, not two.
        self.id = uuid5(ledger.held.turn.id, call_id)
        self.call_id = call_id
        self.tool_name = tool_name
        self.arguments = arguments
        self._ledger = ledger

    @property
    def principal(self) -> Principal:
        """The user whose turn it is."""
        return self._ledger.held.turn.principal

    @property
    def recorded(self) -> bool:
        """Whether the call's outcome is on record."""
        return self.call_id in self._ledger.calls

    async def perform(self, effect: Effect[Result], result_type: type[Result]) -> Result:
        """Run the effect and record it, in one transaction."""
        return await self._ledger.perform(self, effect, result_type)

    async def record_refusal(self, text: str) -> None:
        """Record a call that the server refused before any tool ran."""
        await self._ledger.refuse(self, text)
