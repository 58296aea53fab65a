"""Spans by OpenTelemetry. Imported only if they are wanted.

The provider is our own and not the process's: libraries that trace by themselves would note what
our spans leave out.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from taskchat import __version__
from taskchat.errors import ServiceError
from taskchat.telemetry.traces import Attributes, Content, Kind

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""The semantic conventions by which spans are named; those of GenAI are of their own repository,
and have no released schema yet."""

CLOSE_S: Final = 2.0
"""How long a process that stops tries to send its last spans; a collector may be gone, too."""

_KINDS: Final = MappingProxyType(
    {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}
)
_PROPAGATOR: Final = TraceContextTextMapPropagator()

_current: ContextVar[Span | None] = ContextVar("span", default=None)
"""Ours, and not the libraries': one that traces by itself, as that of MCP does, would put a span in
its place that nobody records."""


def _context() -> Context:
    """What a span without another parent is within."""
    span = _current.get()
    return Context() if span is None else set_span_in_context(span, Context())


class _Span:
    """A span under way."""

    def __init__(self, span: Span, *, content: bool) -> None:
        self._span = span
        self._content = content
        self._failed = False

    def name(self, name: str) -> None:
        """Name it anew."""
        self._span.update_name(name)

    def note(self, attributes: Attributes) -> None:
        """Note facts about it."""
        self._span.set_attributes({k: v for k, v in attributes.items() if v is not None})

    def content(self, content: Content) -> None:
        """Note what was said in it, if that is allowed."""
        if self._content and self._span.is_recording():
            for name, value in content().items():
                self._span.set_attribute(name, json.dumps(value, ensure_ascii=False, default=str))

    def fail(self, error_type: str) -> None:
        """Note that it failed."""
        if not self._failed:
            self._failed = True
            self._span.set_attribute("error.type", error_type)
            self._span.set_status(Status(StatusCode.ERROR))


class OpenTelemetry:
    """A tracer that hands its spans to an exporter.

    Args:
        provider: Makes the spans.
        content: Whether what was said is noted.
    """

    def __init__(self, provider: TracerProvider, *, content: bool = False) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("taskchat", __version__, SCHEMA_URL)
        self._content = content

    @classmethod
    def sending(
        cls,
        endpoint: str,
        *,
        process: str,
        content: bool,
        exporter: SpanExporter | None = None,
    ) -> "OpenTelemetry":
        """One that sends to an OTLP collector, in a thread of its own.

        Args:
            endpoint: The collector's address, for all signals.
            process: This process, among those of the service.
            content: Whether what was said is noted.
            exporter: Another way to send.
        """
        resource = Resource.create(
            {SERVICE_NAME: "taskchat", SERVICE_VERSION: __version__, SERVICE_INSTANCE_ID: process}
        ).merge(OTELResourceDetector().detect())  # what the environment says wins
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        sends = exporter or OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(sends))
        return cls(provider, content=content)

    @contextlib.contextmanager
    def span(
        self, name: str, kind: Kind, attributes: Attributes, parent: str | None
    ) -> Iterator[_Span]:
        """A span for the block."""
        above = _PROPAGATOR.extract({"traceparent": parent}) if parent else _context()
        started = self._tracer.start_span(
            name,
            context=above,
            kind=_KINDS[kind],
            attributes={k: v for k, v in attributes.items() if v is not None},
        )
        ours = _Span(started, content=self._content)
        token = _current.set(started)
        try:
            yield ours
        except asyncio.CancelledError:
            ours.fail("cancelled")
            raise
        except Exception as error:
            # Its text may quote what was said.
            ours.fail(_class_of(error))
            raise
        finally:
            _current.reset(token)
            started.end()

    def traceparent(self) -> str | None:
        """The current span, as it is handed on."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, _context())
        return carrier.get("traceparent")

    def ids(self) -> tuple[str, str] | None:
        """The ids of the current trace and span."""
        span = _current.get()
        if span is None:
            return None
        context = span.get_span_context()
        return format_trace_id(context.trace_id), format_span_id(context.span_id)

    def is_recording(self) -> bool:
        """Whether there is a current span that is not over, and that will be sent."""
        span = _current.get()
        return span is not None and span.is_recording()

    def close(self) -> None:
        """Send what is left, in bounded time."""
        # The SDK's own limit is ten seconds for each batch.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_S)


def _class_of(error: Exception) -> str:
    """A class of error: our code, the database's, or what it is called in Python."""
    if isinstance(error, ServiceError):
        return error.code
    return str(getattr(error, "sqlstate", None) or type(error).__name__)
