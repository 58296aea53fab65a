"""Why a command can't do its work: one sentence that names what to change, and an exit code."""

from typing import ClassVar


class CannotStart(Exception):
    """Something prevents the start; the message says what, and what to do."""

    exit_code: ClassVar[int] = 1


class BadConfiguration(CannotStart):
    """A setting or another environment variable is wrong; the message names it."""

    exit_code = 2


def refusal_of(error: BaseException) -> CannotStart:
    """The refusal for an error that ends a command or keeps the service from starting."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, CannotStart):
        return error
    if isinstance(error, OSError) and error.filename is not None:
        return CannotStart(f"{error.filename}: {error.strerror}")
    text = " ".join(str(error).split())
    return CannotStart(f"{type(error).__name__}: {text}" if text else type(error).__name__)
