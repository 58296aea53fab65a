"""The agent's configuration, from contracts/agent-config.yaml: that file is the source."""

import dataclasses
import string
from pathlib import Path
from typing import Any, Final

import yaml
from agents import ModelSettings
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from taskchat.assistant.approvals import ApprovalRule
from taskchat.assistant.asking_user import ASK_USER
from taskchat.refusals import BadConfiguration
from taskchat.resources import resource_path
from taskchat.settings import Settings
from taskchat.tasks.tools import OPTIONAL_NAMES, TOOL_NAMES

OURS: Final = frozenset({"timeout", "retry"})
"""Fields of ModelSettings that the service sets from its own settings."""

PROMPT_VARIABLES: Final = frozenset({"today", "time_zone", "language", "open_tasks"})
"""Variables that the instructions may use in braces; `assistant/prompt` fills them in."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C, if PyYAML has it here: a tenth of the time."""


class AgentConfigError(BadConfiguration):
    """The file is not valid; the message names the key."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolPermissions(_Section):
    """Which tools the model is offered."""

    allowed: list[str] = Field(min_length=1)

    @field_validator("allowed")
    @classmethod
    def _exist(cls, value: list[str]) -> list[str]:
        if unknown := set(value) - TOOL_NAMES - OPTIONAL_NAMES - {ASK_USER.name}:
            raise ValueError(f"there is no tool {', '.join(sorted(unknown))}")
        return value


class ModelConfig(_Section):
    """Which model, and how it is asked."""

    default: str = Field(min_length=1)
    settings: dict[str, Any]

    @field_validator("settings")
    @classmethod
    def _fits_the_sdk(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := OURS & value.keys():
            raise ValueError(f"{', '.join(sorted(taken))} is set by the service's settings")
        # The SDK's class silently accepts any name.
        known = {field.name for field in dataclasses.fields(ModelSettings)}
        if unknown := value.keys() - known:
            raise ValueError(f"{', '.join(sorted(unknown))}: no field of the SDK's ModelSettings")
        ModelSettings(**value)
        return value


def _holds(value: str, variables: frozenset[str]) -> str:
    """Check that a template is sound and has no other variables than these."""
    names = ", ".join(f"{{{name}}}" for name in sorted(variables))
    try:
        found = variables_of(value)
    except ValueError as error:
        raise ValueError(f"write braces that are no variable twice ({error})") from error
    if unknown := found - variables:
        name = sorted(unknown)[0]
        raise ValueError(f"there is no variable {{{name}}}, only {names}; write other braces twice")
    return value


def variables_of(template: str) -> set[str]:
    """The names in a template's braces.

    Raises:
        ValueError: the braces don't match.
    """
    return {
        f"{name}{'!' + conversion if conversion else ''}{':' + form if form else ''}"
        for _, name, form, conversion in string.Formatter().parse(template)
        if name is not None
    }


class SummaryConfig(_Section):
    """How what no longer fits the history is kept in short, where TASKCHAT_HISTORY_SUMMARY is on.

    Attributes:
        instructions: What the model is told that writes a summary.
        introduction: Put behind the instructions of every later turn, with the {summary} in it.
    """

    instructions: str = Field(min_length=1)
    introduction: str = Field(min_length=1)

    @field_validator("introduction")
    @classmethod
    def _has_the_summary(cls, value: str) -> str:
        if "summary" not in variables_of(_holds(value, frozenset({"summary"}))):
            raise ValueError("{summary} must stand in it")
        return value


class HistoryLimits(_Section):
    """How much of a conversation the model is given."""

    tokens_max: int = Field(ge=0)
    turns_max: int = Field(ge=0)
    summary: SummaryConfig


class TitleConfig(_Section):
    """How a conversation is named, where TASKCHAT_CONVERSATION_TITLES is on."""

    instructions: str = Field(min_length=1)


class AgentConfig(_Section):
    """The whole file."""

    name: str = Field(min_length=1)
    instructions: str = Field(min_length=1)
    tools: ToolPermissions
    approvals: tuple[ApprovalRule, ...]
    model: ModelConfig
    history: HistoryLimits
    title: TitleConfig

    @field_validator("instructions")
    @classmethod
    def _template_is_sound(cls, value: str) -> str:
        return _holds(value, PROMPT_VARIABLES)


def config_path(settings: Settings) -> Path:
    """The path of the configuration file."""
    return Path(settings.agent_config_path or resource_path("contracts/agent-config.yaml"))


def load_agent_config(settings: Settings) -> AgentConfig:
    """Read and check the file.

    Raises:
        AgentConfigError: it is missing, not YAML, or a key is unknown, absent or wrong.
    """
    path = config_path(settings)
    try:
        written = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
        return AgentConfig.model_validate(written)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AgentConfigError(f"{path.name} can't be read: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise AgentConfigError(f"{path.name}: {problems}") from error
