"""Logs never hold a message's text or a token, not even when something crashes."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from asyncpg import PostgresError
from sqlalchemy import text
from tests.factories import Person

from taskchat.postgres.database import Database
from taskchat.settings import Settings
from taskchat.telemetry.logs import configure_logs


@contextlib.contextmanager
def written(**changes: object) -> Iterator[io.StringIO]:
    """What is written to stderr inside the block."""
    stream = io.StringIO()
    settings = Settings(_env_file=None, log_format="json").model_copy(update=changes)
    # pytest puts its own stream there before each phase of a test.
    with contextlib.redirect_stderr(stream):
        configure_logs(settings)
        yield stream
    configure_logs(Settings(_env_file=None, log_format="json"))


def crash() -> None:
    message = "PRIVATE"[::-1]
    raise RuntimeError(f"failed with {len(message)} characters")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_local_variable(form: str) -> None:
    with written(log_format=form) as lines:
        try:
            crash()
        except RuntimeError:
            structlog.get_logger().exception("request.crashed")
    assert "request.crashed" in lines.getvalue()
    assert "RuntimeError" in lines.getvalue()
    assert "ETAVIRP" not in lines.getvalue()


async def test_a_failed_statement_shows_no_parameter(database: Database) -> None:
    with written() as lines:
        try:
            async with database.transaction(Person().principal) as connection:
                await connection.execute(
                    text("INSERT INTO nowhere (content) VALUES (:content)"),
                    {"content": "a very private message"},
                )
        except PostgresError:
            structlog.get_logger().exception("request.crashed")
    assert "nowhere" in lines.getvalue()
    assert "private" not in lines.getvalue()


def test_libraries_lines_are_json_too_and_the_talkative_are_silent() -> None:
    with written() as lines:
        logging.getLogger("somebody.else").warning("look at %s", "this")
        logging.getLogger("openai.agents").error("what a model said")
    [line] = lines.getvalue().splitlines()
    assert json.loads(line)["event"] == "look at this"


def test_lines_below_the_level_are_not_written() -> None:
    with written(log_level="error") as lines:
        structlog.get_logger().info("turn.completed")
    assert lines.getvalue() == ""
