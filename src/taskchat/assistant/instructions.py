"""The agent's configuration, from contracts/agent-config.yaml: that file is the source."""

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from agents import ModelSettings
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from taskchat.resources import resource_path
from taskchat.settings import Settings
from taskchat.tasks.tools import TOOL_NAMES

OURS = frozenset({"timeout", "retry"})
"""Fields of ModelSettings that the service sets from its own settings."""


class AgentConfigError(Exception):
    """The file does not fit; the message names the key."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolPermissions(_Section):
    """Which tools the model is offered."""

    allowed: list[str] = Field(min_length=1)

    @field_validator("allowed")
    @classmethod
    def _exist(cls, value: list[str]) -> list[str]:
        if unknown := set(value) - TOOL_NAMES:
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
        # The SDK's class takes any name without a word.
        known = {field.name for field in dataclasses.fields(ModelSettings)}
        if unknown := value.keys() - known:
            raise ValueError(f"{', '.join(sorted(unknown))}: no field of the SDK's ModelSettings")
        ModelSettings(**value)
        return value


class HistoryLimits(_Section):
    """How much of a conversation the model is given."""

    tokens_max: int = Field(ge=0)
    turns_max: int = Field(ge=0)


class AgentConfig(_Section):
    """The whole file."""

    name: str = Field(min_length=1)
    instructions: str = Field(min_length=1)
    tools: ToolPermissions
    model: ModelConfig
    history: HistoryLimits

    @field_validator("instructions")
    @classmethod
    def _template_is_sound(cls, value: str) -> str:
        try:
            value.format(today="")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"{{today}} is the only placeholder; write other braces twice ({error})"
            ) from error
        return value

    def system_prompt(self, today: date) -> str:
        """What the model is told before a turn."""
        return self.instructions.format(today=today.isoformat())


def load_agent_config(settings: Settings) -> AgentConfig:
    """Read and check the file.

    Raises:
        AgentConfigError: it is missing, not YAML, or a key is unknown, absent or wrong.
    """
    path = Path(settings.agent_config_path or resource_path("contracts/agent-config.yaml"))
    try:
        return AgentConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AgentConfigError(f"{path.name} can't be read: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise AgentConfigError(f"{path.name}: {problems}") from error
