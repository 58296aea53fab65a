"""One attempt at one model: asked as its record wants it, and its answer made sound.

Nothing that a model or its SDK does wrong leaves here as anything but `ModelFailed`.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any

from agents import Model, ModelResponse, ModelSettings
from agents.exceptions import AgentsException, ModelBehaviorError
from agents.items import TResponseInputItem
from agents.usage import Usage
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFailedEvent,
    ResponseIncompleteEvent,
    ResponseRefusalDeltaEvent,
    ResponseTextDeltaEvent,
)

from taskchat.assistant.record import RunRecord
from taskchat.assistant.soundness import (
    is_nothing,
    make_sound,
    readable_by,
    with_json_arguments,
)


@dataclass(frozen=True, slots=True)
class NamedModel:
    """One link of the chain.

    Attributes:
        name: As in `TASKCHAT_MODEL`.
        model: The SDK's model.
        settings: What this model needs beyond the agent's own settings.
    """

    name: str
    model: Model
    settings: ModelSettings = field(default_factory=ModelSettings)


class ModelFailed(AgentsException):
    """A model did not answer; the cause says what it did instead."""


class AnsweredNothing(ModelFailed):
    """A model answered with neither a word to read nor a call to make."""


class Attempt:
    """One model, asked once.

    Args:
        named: Which.
        record: Of the run.

    Attributes:
        heard: Whether the record has heard any of its text.
    """

    def __init__(self, named: NamedModel, record: RunRecord) -> None:
        self.heard = False
        self._named = named
        self._record = record

    async def answer(
        self,
        system_instructions: str | None,
        items: list[TResponseInputItem],
        model_settings: ModelSettings,
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        """What the model answers, sound enough for a record.

        Raises:
            AnsweredNothing: it did.
            ModelFailed: anything else that a model can do wrong.
        """
        items = with_json_arguments(readable_by(self._named.name, items, self._record.answers))
        # Repeats are the chain's business, and its policy no data for a model.
        settings = replace(model_settings.resolve(self._named.settings), retry=None)
        try:
            response = await self._asked(system_instructions, items, settings, *args, **kwargs)
        except Exception as error:
            # Whatever it is: a vendor's error, a socket's, JSON that is none, an SDK that meets
            # what it never saw. It is the model's, and another one may do better.
            raise ModelFailed(f"{self._named.name}: {type(error).__name__}") from error
        make_sound(response.output, items)
        if is_nothing(response.output):
            raise AnsweredNothing(f"{self._named.name} answered nothing")
        return response

    async def _asked(self, *args: Any, **kwargs: Any) -> ModelResponse:
        if not self._record.streams:
            return await self._named.model.get_response(*args, **kwargs)
        answer: Response | None = None
        events = self._named.model.stream_response(*args, **kwargs)
        try:
            async for event in events:
                if isinstance(event, ResponseTextDeltaEvent | ResponseRefusalDeltaEvent):
                    self.heard = True
                    self._record.heard(event.delta)
                elif isinstance(event, ResponseCompletedEvent | ResponseIncompleteEvent):
                    # An answer that was cut at its longest is short, not wrong.
                    answer = event.response
                    break
                elif isinstance(event, ResponseFailedEvent):
                    raise ModelBehaviorError("The answer ended as failed.")
        finally:
            if isinstance(events, AsyncGenerator):
                # Its connection is given back now, and not when it happens to be collected.
                await events.aclose()
        if answer is None:
            raise ModelBehaviorError("The answer broke off.")
        return _response(answer)


def _response(answer: Response) -> ModelResponse:
    usage, used = Usage(requests=1), answer.usage
    if used:
        # Not every vendor that speaks this interface says all of it.
        usage.input_tokens, usage.output_tokens = used.input_tokens or 0, used.output_tokens or 0
        usage.input_tokens_details = getattr(used, "input_tokens_details", None) or (
            usage.input_tokens_details
        )
    return ModelResponse(output=answer.output, usage=usage, response_id=answer.id)
