"""Kinds of settings: how a variable's text is read before it becomes a setting."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr


def _given(value: object) -> object:
    """An empty variable, such as those in `.env.example`, counts as one that is not set."""
    if isinstance(value, str) and not value.strip():
        return None
    return value or None


def _one_line(value: object) -> object:
    """Refuse a line end that was copied along: it is never meant, and every request would fail."""
    value = _given(value)
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and (text != text.strip() or not text.isprintable()):
        raise ValueError("take the line end, outer white space or invisible character out of it")
    return value


def line_or(default: str) -> Callable[[object], object]:
    """A line, or the default if the variable is empty."""
    return lambda value: _one_line(value) or default


def _address(value: str | None) -> str | None:
    if value is None:
        return None
    problem = "must be an address such as https://host.example.org/path"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
        if ":" not in host:
            host.encode("idna")
    except ValueError as error:
        raise ValueError(problem) from error
    if parts.scheme not in ("http", "https") or not host or " " in value:
        raise ValueError(problem)
    return value


Seconds = Annotated[float, Field(gt=0, le=3600)]
OptionalText = Annotated[str | None, BeforeValidator(_given)]
OptionalLine = Annotated[str | None, BeforeValidator(_one_line)]
OptionalAddress = Annotated[OptionalLine, AfterValidator(_address)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_one_line)]
