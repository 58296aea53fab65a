"""The scripted model as the Agents SDK sees it.

Which answer is due follows from the record of the turn: its place in the conversation, and how many
answers it has had. So a repeat, and a takeover by another process, go on where the script stands.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from uuid import uuid4

from agents import ModelResponse
from agents.items import TResponseInputItem, TResponseOutputItem, TResponseStreamEvent
from agents.models.interface import Model
from agents.tool import Tool
from agents.usage import Usage
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseReasoningItem,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseTextDeltaEvent,
)
from openai.types.responses.response_reasoning_item import Summary

from taskchat.assistant.models.offline import OfflineModel
from taskchat.assistant.models.scripted.expecting import Given, unmet
from taskchat.assistant.models.scripted.reading import parse_script
from taskchat.assistant.models.scripted.script import Answered, Failure, Script, Spoken
from taskchat.assistant.models.telling import message_of, told, words_of
from taskchat.assistant.models.wire import BrokeOff, VendorFailed
from taskchat.assistant.record import model_record
from taskchat.errors import ScriptError

QUOTED_CHARS_MAX: Final = 200
"""Characters of a message that an error quotes."""


class ScriptedFailure(VendorFailed):
    """An error of HTTP that the script asks for.

    Attributes:
        headers: Those of the vendor's answer that say when to ask again.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__("The script says so.", status_code=failure.status, code=failure.code)
        after = failure.retry_after_s
        self.headers = {} if after is None else {"retry-after": f"{after:g}"}


class ScriptedModel(Model):
    """Says and calls what a script says.

    Args:
        script: What it follows in turns that have no script of their own; None if all must have.
        repeats: How often it has been asked again for the current answer.
    """

    def __init__(self, script: Script | None, repeats: Callable[[], int]) -> None:
        self._script = script
        self._repeats = repeats
        self._offline = OfflineModel()

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: Any,
        tools: list[Tool],
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        """The answer that is due.

        Raises:
            ScriptError: there is none, or the model was not given what the script expects.
            VendorFailed: the script says so.
        """
        due = self._due(system_instructions, input, tools)
        if due is None:
            return await self._offline.get_response(
                system_instructions, input, model_settings, tools, *args, **kwargs
            )
        failure = await self._begun(due)
        if failure is not None:
            raise BrokeOff("The script says so.")
        usage = Usage(
            requests=1,
            input_tokens=due.usage.input_tokens,
            output_tokens=due.usage.output_tokens,
            total_tokens=due.usage.input_tokens + due.usage.output_tokens,
        )
        return ModelResponse(output=_output(due), usage=usage, response_id=f"resp_{uuid4().hex}")

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: Any,
        tools: list[Tool],
        *args: Any,
        **kwargs: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The answer that is due, piece by piece.

        Raises:
            ScriptError: there is none, or the model was not given what the script expects.
            VendorFailed: the script says so.
        """
        due = self._due(system_instructions, input, tools)
        if due is None:
            events = self._offline.stream_response(
                system_instructions, input, model_settings, tools, *args, **kwargs
            )
            async for event in events:
                yield event
            return
        cut = await self._begun(due)
        left = None if cut is None else cut.after
        for event in told(
            _output(due),
            pieces=lambda _: _cut(due.say),
            thoughts=lambda _: _cut(due.think),
            input_tokens=due.usage.input_tokens,
            output_tokens=due.usage.output_tokens,
        ):
            is_text = isinstance(event, ResponseTextDeltaEvent)
            if cut is not None and (left == 0 or event.type == "response.completed"):
                raise BrokeOff("The script says so.")
            if due.pace_s and (
                is_text or isinstance(event, ResponseReasoningSummaryTextDeltaEvent)
            ):
                await asyncio.sleep(due.pace_s)
            yield event
            if left is not None and is_text:
                left -= 1

    def _due(
        self,
        instructions: str | None,
        input: str | list[TResponseInputItem],
        tools: list[Tool],
    ) -> Answered | None:
        """The answer that is due, if its expectations are met; None if the offline model's is.

        Raises:
            ScriptError: there is none, or they are not.
        """
        record = model_record()
        script = self._script if record.script is None else parse_script(record.script)
        if isinstance(input, str) or not tools or script is None:
            # Titles and summaries are of no turn: the built-in model writes them.
            return None
        before = len(record.history)
        given = Given(
            instructions or "", input[:before], input[before:], [tool.name for tool in tools]
        )
        turn = script.turn(given.message, record.number)
        call = len(record.answers) + 1
        where = f"Model call {call} of turn {record.number}"
        if turn is None or call > len(turn.answers):
            if script.fallback is not None:
                return None
            raise ScriptError(
                f"{where} is not scripted; the message is “{given.message[:QUOTED_CHARS_MAX]}”. "
                "Add it to the script, or give it a fallback."
            )
        due = turn.answers[call - 1]
        problem = unmet(due.expect, given)
        if problem is not None:
            raise ScriptError(f"{where}: the script expects {problem}.")
        return due

    async def _begun(self, due: Answered) -> Failure | None:
        """Wait as long as the script says, and fail if it says so; returns a cut that is to come.

        Raises:
            TimeoutError: the script says that its time is up.
            VendorFailed: the script names a status.
        """
        if due.delay_s:
            await asyncio.sleep(due.delay_s)
        failure = due.fail
        if failure is None or (failure.times is not None and self._repeats() >= failure.times):
            return None
        if failure.kind == "hang":
            await asyncio.Event().wait()
        if failure.kind == "timeout":
            raise TimeoutError
        if failure.kind == "status":
            raise ScriptedFailure(failure)
        return failure


def _output(due: Answered) -> list[TResponseOutputItem]:
    output: list[TResponseOutputItem] = []
    if thought := _whole(due.think):
        summary = [Summary(type="summary_text", text=thought)]
        output.append(
            ResponseReasoningItem(id=f"rs_{uuid4().hex}", type="reasoning", summary=summary)
        )
    if said := _whole(due.say):
        output.append(message_of(said))
    output += [
        ResponseFunctionToolCall(
            id=f"fc_{uuid4().hex}",
            type="function_call",
            call_id=f"call_{uuid4().hex}",
            name=call.tool,
            arguments=call.arguments
            if isinstance(call.arguments, str)
            else json.dumps(call.arguments, ensure_ascii=False),
            status="completed",
        )
        for call in due.call
    ]
    return output


def _whole(spoken: Spoken) -> str:
    return "".join(spoken)


def _cut(spoken: Spoken) -> list[str]:
    return list(words_of(spoken) if isinstance(spoken, str) else spoken)
