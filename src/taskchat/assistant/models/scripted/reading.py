"""Reading a script, from a file or from a request, with errors that name the place."""

import functools
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from taskchat.assistant.models.scripted.script import ANY, Script
from taskchat.texts import unique_names


class ScriptInvalid(ValueError):
    """It is no script; the message says where, and what is wrong there."""


def read_script(path: Path) -> Script:
    """The script in a file, which is YAML; JSON is YAML too.

    Raises:
        ScriptInvalid: it can't be read, or is no script.
    """
    try:
        return _checked(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ScriptInvalid(f"can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise ScriptInvalid(f"is no YAML: {problem}") from error


@functools.lru_cache(maxsize=128)
def parse_script(text: str) -> Script:
    """The script that a request brings, as JSON: a whole one, or what one turn answers.

    It is asked for at every model call of the turn, and is the same each time.

    Raises:
        ScriptInvalid: it is no JSON, or no script.
    """
    try:
        found = json.loads(text, object_pairs_hook=unique_names, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ScriptInvalid("is no JSON") from error
    if isinstance(found, list):
        found = {"turns": [{"message": ANY, "answers": found}]}
    return _checked(found)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _checked(found: Any) -> Script:
    try:
        return Script.model_validate(found)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        raise ScriptInvalid(
            f"is no script: {place}: {text}" if place else f"is no script: {text}"
        ) from error
    except RecursionError as error:
        raise ScriptInvalid("is no script: it is nested too deeply") from error
