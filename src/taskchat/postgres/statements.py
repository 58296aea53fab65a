"""Running statements: written in SQLAlchemy's language, run by the driver itself.

SQLAlchemy's own execution costs more than the round trip that it makes. A statement is compiled
once; a row is the driver's record, whose columns are also attributes.
"""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

import asyncpg
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql import asyncpg as dialects

from taskchat.telemetry.traces import UNTRACED, Span, is_recording, span

DIALECT: Final = dialects.dialect()  # type: ignore[no-untyped-call]

Values: TypeAlias = Mapping[str, Any]
"""The parameters of a statement, by name."""


class Row(asyncpg.Record):  # type: ignore[misc]
    """A row: a tuple whose columns are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


AnyRow: TypeAlias = Any
"""A row whose columns are read by name: a `Row`; what is in them is not known to a type checker."""


class Rows:
    """What a statement returned."""

    def __init__(self, rows: Sequence[AnyRow]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[AnyRow]:
        return iter(self._rows)

    def all(self) -> Sequence[AnyRow]:
        """Every row."""
        return self._rows

    def one(self) -> AnyRow:
        """The only row."""
        [row] = self._rows
        return row

    def one_or_none(self) -> AnyRow | None:
        """The only row; None if there is none."""
        return self.one() if self._rows else None

    def scalars(self) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in self._rows]


OF_DATABASE: Final = MappingProxyType({"db.system.name": "postgresql"})
"""What every span of the database says."""


def traced_sql(sql: str, *, name: str | None = None) -> AbstractContextManager[Span]:
    """The span of a statement, within another one; of its values it has none.

    Args:
        sql: The statement, with places for its values.
        name: What it is called; otherwise the word that it begins with.
    """
    if not is_recording():
        return UNTRACED
    named = name or sql.lstrip("( ").partition(" ")[0]
    return span(named, {**OF_DATABASE, "db.query.text": sql}, kind="client")


class Connection:
    """A connection inside a transaction: what every statement is given."""

    def __init__(self, driven: asyncpg.Connection) -> None:
        self._driven = driven

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """Run SQL as the driver takes it; returns its rows."""
        with traced_sql(sql):
            return cast("list[Any]", await self._driven.fetch(sql, *arguments))

    async def execute(self, statement: Executable, values: Values | None = None) -> Rows:
        """Run a statement; returns its rows."""
        sql, arguments = _driven(statement, values)
        return Rows(await self.fetch(sql, *arguments))

    async def scalar(self, statement: Executable, values: Values | None = None) -> Any:
        """Run a statement; returns the first column of its first row, or None."""
        sql, arguments = _driven(statement, values)
        with traced_sql(sql):
            return await self._driven.fetchval(sql, *arguments)

    async def scalars(self, statement: Executable, values: Values | None = None) -> list[Any]:
        """Run a statement; returns the first column of its rows."""
        return (await self.execute(statement, values)).scalars()

    async def change(self, statement: Executable, values: Values | None = None) -> int:
        """Run a statement that returns no rows; returns how many it has changed."""
        sql, arguments = _driven(statement, values)
        with traced_sql(sql):
            status: str = await self._driven.execute(sql, *arguments)
        return int(status.rpartition(" ")[2])


_compiled: Final[weakref.WeakKeyDictionary[Executable, tuple[str, Sequence[str], Values]]] = (
    weakref.WeakKeyDictionary()
)
"""By statement: its SQL, its parameters in the driver's order, and values of its own."""


def _driven(statement: Executable, values: Values | None) -> tuple[str, list[Any]]:
    """A statement as the driver takes it."""
    found = _compiled.get(statement)
    if found is None:
        compiled: Any = statement.compile(dialect=DIALECT)  # type: ignore[attr-defined]
        found = (compiled.string, compiled.positiontup or (), compiled.params)
        _compiled[statement] = found
    sql, names, own = found
    given = values or {}
    return sql, [given[name] if name in given else own[name] for name in names]


class Function:
    """A function of the database: one step of a turn, in a transaction and a round trip of its own.

    Args:
        name: Its name; the file alembic/functions/<name>.sql has it.
        parameters: Their names, without the one that binds it to its caller.
    """

    def __init__(self, name: str, *parameters: str) -> None:
        self.name = name
        self._parameters = parameters
        numbered = enumerate(("bound_to", *parameters), 1)
        self.sql = f"SELECT * FROM {name}({', '.join(f'_{p} => ${n}' for n, p in numbered)})"

    def arguments(self, values: Values) -> list[Any]:
        """The values in the driver's order."""
        return [values[name] for name in self._parameters]
