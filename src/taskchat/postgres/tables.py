"""What the classes of all tables share: how their constraints are named, and the way to Core."""

from typing import Final, cast

from sqlalchemy import MetaData, Table
from sqlmodel import SQLModel

NAMING_CONVENTION: Final = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}
"""Postgres' own naming, so that a constraint has the same name however it was made."""

SQLModel.metadata.naming_convention = NAMING_CONVENTION
metadata: MetaData = SQLModel.metadata


def table_of(model: type[SQLModel]) -> Table:
    """The Core table behind a SQLModel class; statements on the hot path are plain Core."""
    return cast(Table, model.__table__)  # type: ignore[attr-defined]
