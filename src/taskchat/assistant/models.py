"""The chain of models: the first that answers is the model, and what it answered is recorded."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from agents import (
    Model,
    ModelResponse,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
)
from agents.exceptions import AgentsException, ModelBehaviorError
from agents.items import TResponseInputItem, TResponseOutputItem, TResponseStreamEvent
from agents.models.default_models import gpt_5_reasoning_settings_required
from agents.usage import Usage
from openai import AsyncOpenAI, OpenAIError
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFailedEvent,
    ResponseFunctionToolCall,
    ResponseIncompleteEvent,
    ResponseOutputMessage,
    ResponseTextDeltaEvent,
)

from taskchat.assistant.instructions import AgentConfig
from taskchat.assistant.offline.model import OfflineModel
from taskchat.assistant.record import Answer, RunRecord, current_record
from taskchat.conversations.history import InputItem
from taskchat.errors import ModelError, RunTimeout, ServiceError
from taskchat.moments import new_id
from taskchat.settings import OFFLINE, Settings
from taskchat.texts import scrubbed

log = structlog.get_logger()

CALL_ID_CHARS_MAX: Final = 255
"""The record's column; vendors use some 30."""

MODEL_FAILURES: Final = (OpenAIError, AgentsException, OSError, ValueError)
"""What a model call may raise for reasons of its own: the vendor's errors, an answer that the SDK
can't read, a socket, JSON that is none."""


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


class ModelConfigError(Exception):
    """The chain can't be built; the message names the setting."""


def model_names(settings: Settings, config: AgentConfig) -> list[str]:
    """The chain that is configured, the preferred first.

    Raises:
        ModelConfigError: a model needs a key that isn't set.
    """
    names = settings.model_chain
    if not names:
        names = [config.model.default if settings.openai_api_key else OFFLINE]
    if any(name != OFFLINE for name in names) and settings.openai_api_key is None:
        raise ModelConfigError(
            "TASKCHAT_MODEL names a model of a vendor, which needs OPENAI_API_KEY; set it, or set "
            "TASKCHAT_MODEL=offline."
        )
    return names


@contextlib.asynccontextmanager
async def open_chain(
    names: Sequence[str], settings: Settings
) -> AsyncIterator[Sequence[NamedModel]]:
    """The models of these names, and the one client that they share, while the block lasts."""
    if all(name == OFFLINE for name in names):
        yield [NamedModel(OFFLINE, OfflineModel()) for _ in names]
        return
    async with vendor_client(settings) as client:
        yield [
            NamedModel(OFFLINE, OfflineModel())
            if name == OFFLINE
            else _openai_model(name, client, settings)
            for name in names
        ]


def vendor_client(settings: Settings, **options: Any) -> AsyncOpenAI:
    """A client of the vendor's; the caller closes it."""
    key = settings.openai_api_key
    return AsyncOpenAI(
        api_key=key.get_secret_value() if key else "",
        base_url=settings.openai_base_url,
        **{"timeout": settings.model_timeout_s, **options},
    )


def _openai_model(name: str, client: AsyncOpenAI, settings: Settings) -> NamedModel:
    if settings.openai_api == "chat_completions":
        return NamedModel(name, OpenAIChatCompletionsModel(name, client))
    needs = ModelSettings()
    if gpt_5_reasoning_settings_required(name) or name.startswith("o"):
        # Nothing is stored at the vendor, so the reasoning must travel with the items.
        needs = ModelSettings(response_include=["reasoning.encrypted_content"])
    return NamedModel(name, OpenAIResponsesModel(name, client), needs)


class RecordedChain(Model):
    """The chain as one model. Every answer is made sound and recorded before the SDK sees it.

    The history is put in front of a run's input here and not before the run: the SDK walks and
    copies its whole input several times at every model call.

    Args:
        chain: Models in order of preference.
        attempt_timeout_s: The longest one model may take to answer.
    """

    def __init__(self, chain: Sequence[NamedModel], *, attempt_timeout_s: float) -> None:
        self._chain = chain
        self._attempt_timeout_s = attempt_timeout_s

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        """Ask the models in turn until one answers.

        Raises:
            RunTimeout: the last of them took too long.
            ModelError: the last of them failed.
        """
        failure: ServiceError = ModelError()
        items = with_history(input)
        record = current_record()
        for named in self._chain:
            record.asking(named.name)
            asked = _Asked(named, record)
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._attempt_timeout_s):
                    response = await asked.response(
                        system_instructions,
                        items,
                        model_settings.resolve(named.settings),
                        *args,
                        **kwargs,
                    )
            except TimeoutError as error:
                failure = _failed(named, RunTimeout(), error)
            except MODEL_FAILURES as error:
                failure = _failed(named, ModelError(), error)
            else:
                make_sound(response.output, items)
                _note(named, response, duration_ms=round((time.monotonic() - began) * 1000))
                return response
            if asked.heard:
                # Its readers have seen half an answer; another model's would not continue it.
                record.broke_off()
                break
        raise failure

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        """Not a way to ask this model: a run asks once, and its record hears the text.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError


class _Asked:
    """One model, asked once.

    Attributes:
        heard: Whether the record has heard any of its text.
    """

    def __init__(self, named: NamedModel, record: RunRecord) -> None:
        self._model = named.model
        self._record = record
        self.heard = False

    async def response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Its answer; where the record streams, heard while it is made."""
        if not self._record.streams:
            return await self._model.get_response(*args, **kwargs)
        answer: Response | None = None
        events = self._model.stream_response(*args, **kwargs)
        try:
            async for event in events:
                if isinstance(event, ResponseTextDeltaEvent):
                    self.heard = True
                    self._record.heard(event.delta)
                elif isinstance(event, ResponseCompletedEvent):
                    answer = event.response
                elif isinstance(event, ResponseFailedEvent | ResponseIncompleteEvent):
                    raise ModelBehaviorError(f"The answer ended as {event.type}.")
        finally:
            if isinstance(events, AsyncGenerator):
                # Its connection is given back now, and not when it happens to be collected.
                await events.aclose()
        if answer is None:
            raise ModelBehaviorError("The answer broke off.")
        return _response(answer)


def with_history(input: str | list[TResponseInputItem]) -> list[TResponseInputItem]:
    """The whole input of a model: what was said before this turn, then this turn."""
    turn = [{"role": "user", "content": input}] if isinstance(input, str) else input
    return cast("list[TResponseInputItem]", [*current_record().history, *turn])


def _note(named: NamedModel, response: ModelResponse, *, duration_ms: int) -> None:
    current_record().answered(
        Answer(
            model=named.name,
            items=[cast("InputItem", item) for item in response.to_input_items()],
            input_tokens=response.usage.input_tokens,
            output_tokens=response.usage.output_tokens,
            duration_ms=duration_ms,
        )
    )


def _failed(named: NamedModel, error: ServiceError, cause: BaseException) -> ServiceError:
    log.warning("model.failed", model=named.name, error=type(cause).__name__)
    error.__cause__ = cause
    return error


def _response(answer: Response) -> ModelResponse:
    used = answer.usage
    return ModelResponse(
        output=answer.output,
        usage=Usage(
            requests=1,
            input_tokens=used.input_tokens if used else 0,
            output_tokens=used.output_tokens if used else 0,
        ),
        response_id=answer.id,
    )


def make_sound(output: Sequence[TResponseOutputItem], input: Sequence[TResponseInputItem]) -> None:
    """Mend in place what a model may get wrong and a record can't hold.

    A call id that was used before in this input, or that is no id, gets a new one: the ledger
    would take the call for a repetition. NUL and lone surrogates become U+FFFD.
    """
    seen = {item.get("call_id") for item in input if item.get("type") == "function_call"}
    for item in output:
        if isinstance(item, ResponseFunctionToolCall):
            if not item.call_id or len(item.call_id) > CALL_ID_CHARS_MAX or item.call_id in seen:
                item.call_id = f"call_{new_id().hex}"
            seen.add(item.call_id)
            item.arguments = scrubbed(item.arguments)
        elif isinstance(item, ResponseOutputMessage):
            for part in item.content:
                if part.type == "output_text":
                    part.text = scrubbed(part.text)
