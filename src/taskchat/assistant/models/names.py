"""Which models there are: names of the configuration, made into models of the SDK."""

import contextlib
import importlib.util
import logging
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from agents import Model, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel
from agents.models.default_models import gpt_5_reasoning_settings_required
from agents.models.multi_provider import MultiProvider
from agents.tracing import set_trace_provider
from agents.tracing.provider import DefaultTraceProvider
from openai import AsyncOpenAI

from taskchat.assistant.instructions import AgentConfig
from taskchat.assistant.models.asking import NamedModel
from taskchat.assistant.models.chain import repeats
from taskchat.assistant.models.manner import Manner, MannerError, MannerlyModel
from taskchat.assistant.models.offline import OfflineModel
from taskchat.assistant.models.scripted.model import ScriptedModel
from taskchat.assistant.models.scripted.reading import ScriptInvalid, read_script
from taskchat.assistant.models.scripted.script import Script
from taskchat.assistant.models.vendor import NO_KEY, vendor_client
from taskchat.assistant.models.writing import as_input, as_messages
from taskchat.assistant.record import model_record
from taskchat.refusals import BadConfiguration
from taskchat.settings import BUILT_IN, OFFLINE, SCRIPTED, Settings

EXTRAS: Final = {"litellm/": "litellm", "any-llm/": "any_llm"}
"""Prefixes of other vendors' models, and the package that the SDK's extra brings for them."""


class ModelConfigError(BadConfiguration):
    """The chain can't be built; the message names the setting."""


def model_names(settings: Settings, config: AgentConfig) -> list[str]:
    """The chain that is configured, the preferred first.

    Raises:
        ModelConfigError: a model needs a key that isn't set, or a package that isn't installed;
            the offline model's manner is not valid; or there is a script that can't be followed,
            or that may not be.
    """
    _usual_manner(settings)
    names = settings.model_chain
    if not names and settings.script is not None:
        names = [SCRIPTED]
    elif not names:
        names = [config.model.default if settings.openai_api_key else OFFLINE]
    if (SCRIPTED in names) != (settings.script is not None):
        raise ModelConfigError(
            "TASKCHAT_SCRIPT and the model “scripted” of TASKCHAT_MODEL need each other; unset "
            "TASKCHAT_MODEL to be answered by the script alone."
        )
    _usual_script(settings)
    for name in names:
        if name in BUILT_IN:
            continue
        extra = extra_of(name)
        if extra is not None:
            if importlib.util.find_spec(EXTRAS[extra]) is None:
                raise ModelConfigError(
                    f"TASKCHAT_MODEL names {name}, which needs a package that is not installed: "
                    f"pip install 'openai-agents[{extra.rstrip('/')}]'."
                )
        elif settings.openai_api_key is None and settings.openai_base_url is None:
            raise ModelConfigError(
                "TASKCHAT_MODEL names a model of a vendor, which needs OPENAI_API_KEY, or "
                "OPENAI_BASE_URL for a server without keys; set one, or set "
                "TASKCHAT_MODEL=offline."
            )
    return names


def extra_of(name: str) -> str | None:
    """The prefix of a model that is not reached by OpenAI's API; None for all others.

    Any other name goes to OPENAI_BASE_URL as it is, slashes included: OpenRouter's have them.
    """
    return next((prefix for prefix in EXTRAS if name.startswith(prefix)), None)


def _usual_manner(settings: Settings) -> Manner:
    try:
        return Manner.parse(settings.offline_manner or "")
    except MannerError as error:
        raise ModelConfigError(f"TASKCHAT_OFFLINE_MANNER {error}.") from error


def _usual_script(settings: Settings) -> Script | None:
    if settings.script is None:
        return None
    if not settings.script_allowed:
        raise ModelConfigError(
            "TASKCHAT_SCRIPT lets a script play the model, which is for tests: "
            "TASKCHAT_SCRIPT_ALLOWED=true allows it."
        )
    try:
        return read_script(Path(settings.script))
    except ScriptInvalid as error:
        raise ModelConfigError(f"TASKCHAT_SCRIPT: {settings.script} {error}.") from error


@contextlib.asynccontextmanager
async def open_models(
    names: Sequence[str], settings: Settings
) -> AsyncIterator[Sequence[NamedModel]]:
    """The models of these names, and the clients that they share, while the block lasts.

    The scripted one is always among them: a turn may bring its script from another process.
    """
    usual = _usual_manner(settings)
    # Switched off or not, the SDK's own provider builds a client at the first run, to send traces.
    set_trace_provider(DefaultTraceProvider())

    def manner() -> tuple[Manner, int]:
        record = model_record()
        return Manner.parse(record.manner) if record.manner else usual, len(record.answers)

    async with contextlib.AsyncExitStack() as stack:
        client: AsyncOpenAI | None = None
        others: MultiProvider | None = None
        models = []
        scripted = ScriptedModel(_usual_script(settings), repeats)
        for name in names:
            if name == OFFLINE:
                models.append(NamedModel(OFFLINE, MannerlyModel(OfflineModel(), manner)))
            elif name == SCRIPTED:
                models.append(NamedModel(SCRIPTED, scripted))
            elif extra_of(name):
                if others is None:
                    # LiteLLM fetches a price list when it is imported, and logs every call.
                    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
                    logging.getLogger("LiteLLM").setLevel(logging.WARNING)
                    others = MultiProvider(openai_api_key=NO_KEY)
                    stack.push_async_callback(others.aclose)
                models.append(NamedModel(name, others.get_model(name)))
            else:
                if client is None:
                    client = await stack.enter_async_context(vendor_client(settings))
                models.append(openai_model(name, client, settings))
        if SCRIPTED not in names:
            models.append(NamedModel(SCRIPTED, scripted, on_request=True))
        yield models


def openai_model(name: str, client: AsyncOpenAI, settings: Settings) -> NamedModel:
    """A model that is asked over one of OpenAI's APIs, by the vendor's client."""
    model: Model
    if settings.openai_api == "chat_completions":
        model = OpenAIChatCompletionsModel(name, client)
        return NamedModel(
            name,
            model,
            ModelSettings(include_usage=True),
            as_messages(model=name, base_url=str(client.base_url)),
        )
    needs = ModelSettings()
    if gpt_5_reasoning_settings_required(name) or name.startswith("o"):
        # Nothing is stored at the vendor, so the reasoning must travel with the items.
        needs = ModelSettings(response_include=["reasoning.encrypted_content"])
    return NamedModel(name, OpenAIResponsesModel(name, client), needs, as_input)
