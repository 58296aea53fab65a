"""One attempt at one model: it is asked as its record wants, and its answer is made sound.

Whatever a model or its SDK does wrong leaves here as `ModelFailed`.
"""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, replace
from typing import Any

from agents import Model, ModelResponse, ModelSettings
from agents.exceptions import AgentsException
from agents.items import TResponseInputItem
from agents.usage import Usage
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFailedEvent,
    ResponseIncompleteEvent,
    ResponseReasoningSummaryTextDeltaEvent,
    ResponseReasoningTextDeltaEvent,
    ResponseRefusalDeltaEvent,
    ResponseTextDeltaEvent,
)

from taskchat.assistant.models.said_before import SaidBefore
from taskchat.assistant.models.soundness import (
    call_ids_of,
    is_nothing,
    made_sound,
    readable_by,
    readable_by_any,
    text_of,
    thought_in,
)
from taskchat.assistant.models.speech import Speech
from taskchat.assistant.models.wire import BrokeOff
from taskchat.assistant.models.writing import HISTORY, Writer
from taskchat.assistant.record import ModelRecord
from taskchat.errors import ScriptError
from taskchat.settings import OFFLINE


@dataclass(frozen=True, slots=True)
class NamedModel:
    """One link of the chain.

    Attributes:
        name: As in `TASKCHAT_MODEL`.
        model: The SDK's model.
        settings: What this model needs beyond the agent's own settings.
        writes: How its vendor's client writes a history; it puts that before what it is asked. A
            model without one is asked with the history itself.
        on_request: Whether only turns with a script of their own ask it.
    """

    name: str
    model: Model
    settings: ModelSettings | None = None
    writes: Writer | None = None
    on_request: bool = False


class ModelFailed(AgentsException):
    """A model did not answer; the cause says what happened instead."""

    @property
    def reason(self) -> str:
        """What happened instead: an HTTP status, or a kind of error."""
        cause = self.__cause__ or self
        return str(getattr(cause, "status_code", None) or type(cause).__name__)


class AnsweredNothing(ModelFailed):
    """A model answered with neither text to read nor a call to make."""


class Attempt:
    """One model, asked once.

    Args:
        named: The model to ask.
        record: The record of the run.
        before: What was said before the turn.
    """

    def __init__(self, named: NamedModel, record: ModelRecord, before: SaidBefore) -> None:
        self._named = named
        self._record = record
        self._before = before

    async def answer(
        self,
        system_instructions: str | None,
        items: list[TResponseInputItem],
        model_settings: ModelSettings,
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        """The model's answer, sound enough for a record; the items are those of this turn.

        Raises:
            AnsweredNothing: the answer had neither text nor calls.
            ScriptError: a script does not fit; no other model would mend that.
            ModelFailed: anything else that a model can do wrong.
        """
        name, record = self._named.name, self._record
        speech = Speech(
            say=record.heard if record.streams else _unheard,
            think=record.thought,
            void=record.broke_off,
            # The offline model does not think aloud, and it repeats what people write.
            thinks=name != OFFLINE,
            is_quoted=lambda text: _is_quoted((*self._before.items, *items), text),
        )
        try:
            settings, asked = self._with_history(
                model_settings, readable_by_any(readable_by(name, items, record.answers))
            )
            if record.streams:
                response = await self._streamed(
                    speech, system_instructions, asked, settings, *args, **kwargs
                )
            else:
                response = await self._named.model.get_response(
                    system_instructions, asked, settings, *args, **kwargs
                )
                record.thought(thought_in(response.output))
            speech.end(text_of(response.output))
            taken = self._before.call_ids | call_ids_of(items)
            response.output = made_sound(response.output, taken, speech.said)
        except ScriptError:
            raise
        except Exception as error:
            # Whatever it is, such as a vendor's error, a socket's, invalid JSON, or an SDK that is
            # surprised by an answer: it is this model's failure, and another one may do better.
            raise ModelFailed(f"{name}: {type(error).__name__}") from error
        if is_nothing(response.output):
            raise AnsweredNothing(f"{name} answered nothing")
        return response

    def _with_history(
        self, settings: ModelSettings, turn: list[TResponseInputItem]
    ) -> tuple[ModelSettings, list[TResponseInputItem]]:
        """What the model is asked with, the history included in one way or the other."""
        if self._named.settings is not None:
            settings = settings.resolve(self._named.settings)
        # Repeats are the chain's business, and the retry policy is no data for a model.
        changes: dict[str, Any] = {"retry": None}
        if self._named.writes is None:
            turn = [*self._before.items, *turn]
        else:
            written = self._before.written(self._named.writes)
            changes["extra_args"] = {**(settings.extra_args or {}), HISTORY: written}
        return replace(settings, **changes), turn

    async def _streamed(self, speech: Speech, *args: Any, **kwargs: Any) -> ModelResponse:
        answer: Response | None = None
        thought = False
        events = self._named.model.stream_response(*args, **kwargs)
        try:
            async for event in events:
                if isinstance(event, ResponseTextDeltaEvent | ResponseRefusalDeltaEvent):
                    speech.hear(event.delta, event.output_index)
                elif isinstance(
                    event, ResponseReasoningTextDeltaEvent | ResponseReasoningSummaryTextDeltaEvent
                ):
                    thought = True
                    self._record.thought(event.delta)
                elif isinstance(event, ResponseCompletedEvent | ResponseIncompleteEvent):
                    # An answer that was cut off at its longest is short, not wrong.
                    answer = event.response
                    break
                elif isinstance(event, ResponseFailedEvent):
                    raise BrokeOff("The answer ended as failed.")
        finally:
            if isinstance(events, AsyncGenerator):
                # Give its connection back now, and not when it happens to be collected.
                await events.aclose()
        if answer is None:
            raise BrokeOff("The answer broke off.")
        if not thought:
            self._record.thought(thought_in(answer.output))
        return _response(answer)


def _unheard(_text: str) -> None:
    """Ignore a text: nobody reads along."""


def _is_quoted(items: Iterable[TResponseInputItem], text: str) -> bool:
    """Whether the user, or a tool, has said the text."""
    return any(
        text in str(item.get("output") or (item.get("role") == "user" and item.get("content")))
        for item in items
    )


def _response(answer: Response) -> ModelResponse:
    usage, used = Usage(requests=1), answer.usage
    if used:
        # Not every vendor that speaks this interface reports all of it.
        usage.input_tokens, usage.output_tokens = used.input_tokens or 0, used.output_tokens or 0
        usage.input_tokens_details = getattr(used, "input_tokens_details", None) or (
            usage.input_tokens_details
        )
    return ModelResponse(output=answer.output, usage=usage, response_id=answer.id)
