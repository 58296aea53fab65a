"""Traces of what is done, across calls, jobs and processes; off unless they are configured.

What is off costs nothing: the libraries are imported only if spans are wanted. A span never holds a
message's text, an argument, a result or a path, which names a user; `content` has what is said, and
is noted only if a setting allows it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Literal, Protocol, TypeAlias

from taskchat.refusals import BadConfiguration
from taskchat.settings import Settings

Kind: TypeAlias = Literal["internal", "server", "client"]

Attributes: TypeAlias = Mapping[str, str | int | float | bool | Sequence[str] | None]
"""What is noted, by the names of the semantic conventions; None is left out."""

Content: TypeAlias = Callable[[], Mapping[str, Any]]
"""Makes what was said, as JSON by attribute; called only if it may be noted."""


class Span(Protocol):
    """Something that is done, from its beginning to its end."""

    def name(self, name: str) -> None:
        """Name it anew, once it is known what it is."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Note facts about it."""
        ...

    def content(self, content: Content) -> None:
        """Note what was said in it, if that is allowed."""
        ...

    def fail(self, error_type: str) -> None:
        """Note that it failed, by a class of error; never by a message, which may quote.

        The first one counts.
        """
        ...


class Tracer(Protocol):
    """What makes spans: see `telemetry.otel`."""

    def span(
        self, name: str, kind: Kind, attributes: Attributes, parent: str | None
    ) -> AbstractContextManager[Span]:
        """A span for the block."""
        ...

    def traceparent(self) -> str | None:
        """The current span, as it is handed on."""
        ...

    def ids(self) -> tuple[str, str] | None:
        """The ids of the current trace and span."""
        ...

    def is_recording(self) -> bool:
        """Whether there is a current span that is not over, and that will be sent."""
        ...


class _Untraced:
    """In place of a span, if nobody wants any."""

    def __enter__(self) -> "_Untraced":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def name(self, name: str) -> None:
        return

    def note(self, attributes: Attributes) -> None:
        return

    def content(self, content: Content) -> None:
        return

    def fail(self, error_type: str) -> None:
        return


UNTRACED: Final = _Untraced()
_tracer: Tracer | None = None


def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
) -> AbstractContextManager[Span]:
    """A span for the block, within the current one. An exception that leaves it fails it.

    Args:
        name: What is done, in words that are no user's.
        attributes: What is known of it at its beginning.
        kind: Whether it answers somebody (server), or asks (client).
        parent: What it belongs to if that is elsewhere, as a W3C `traceparent`.
    """
    if _tracer is None:
        return UNTRACED
    return _tracer.span(name, kind, attributes or {}, parent)


def inner_span(
    name: str, attributes: Attributes | None = None, *, kind: Kind = "internal"
) -> AbstractContextManager[Span]:
    """The same, but only within another span that is not over.

    Work that nobody asked for makes no traces, nor does what outlives the request that began it.
    """
    return span(name, attributes, kind=kind) if is_recording() else UNTRACED


def is_recording() -> bool:
    """Whether an inner span would be one: for those who have to find out first what it says."""
    return _tracer is not None and _tracer.is_recording()


def traceparent() -> str | None:
    """The current span as a W3C `traceparent`, for whoever goes on elsewhere."""
    return None if _tracer is None else _tracer.traceparent()


def trace_ids() -> tuple[str, str] | None:
    """The ids of the current trace and span, for log lines."""
    return None if _tracer is None else _tracer.ids()


@contextlib.contextmanager
def traced_by(tracer: Tracer | None) -> Iterator[None]:
    """Have spans made by this tracer inside the block."""
    global _tracer
    before, _tracer = _tracer, tracer
    try:
        yield
    finally:
        _tracer = before


@contextlib.contextmanager
def traces_sent(settings: Settings, *, process: str) -> Iterator[None]:
    """Send spans where the settings say, inside the block; or make none.

    Args:
        settings: Where to.
        process: This process, by its name in the database.

    Raises:
        BadConfiguration: the libraries are not installed.
    """
    if settings.otlp_endpoint is None:
        yield
        return
    try:
        from taskchat.telemetry.otel import OpenTelemetry
    except ImportError as error:
        raise BadConfiguration(
            "OTEL_EXPORTER_OTLP_ENDPOINT needs the extra otel: pip install 'taskchat[otel]'"
        ) from error
    tracer = OpenTelemetry.sending(
        settings.otlp_endpoint, process=process, content=settings.trace_content
    )
    try:
        with traced_by(tracer):
            yield
    finally:
        tracer.close()
