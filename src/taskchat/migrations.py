"""The schema's version: applying it, and asking whether it is applied."""

from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from taskchat.db import Database
from taskchat.resources import resource_path

_ABSENT: Final = frozenset({"42P01", "22023"})
"""undefined_table, and the role that set_config does not know: nothing was ever migrated."""


def _config(url: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resource_path("alembic")))
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    """Apply every migration that the database lacks. Safe to run from several processes.

    Args:
        url: As `DATABASE_URL`; a login that may create tables and roles, not a pooler.
    """
    command.upgrade(_config(url), "head")


def head() -> str:
    """The revision that this code expects."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 - the folder always holds one
    return revision


async def applied_revision(database: Database) -> str | None:
    """The revision that the database is at; None when nothing was ever applied.

    Raises:
        DatabaseError: the database is away.
    """
    try:
        async with database.system_transaction() as connection:
            applied = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            return None if applied is None else str(applied)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in _ABSENT:
            return None
        raise
