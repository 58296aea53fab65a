"""Conversations made by SQL, from one that was really talked: as many, and as long, as wanted.

The statements name no column but those that differ between copies, so that what a turn leaves
behind is copied whole.
"""

import hashlib
import os
from typing import Any, Final
from uuid import UUID

import asyncpg

_TABLES: Final = {
    "conversations": "old.id = $1",
    "turns": "old.conversation_id = $1",
    "messages": "old.conversation_id = $1",
    "model_answers": "old.turn_id IN (SELECT id FROM turns WHERE conversation_id = $1)",
    "tool_calls": "old.turn_id IN (SELECT id FROM turns WHERE conversation_id = $1)",
    "model_calls": "old.turn_id IN (SELECT id FROM turns WHERE conversation_id = $1)",
}
"""Which rows belong to a conversation. Events are left out: old turns have none any more."""


def copied_id(id_: str, salt: str, number: int) -> str:
    """The id of a copy of a conversation."""
    return str(UUID(hashlib.md5(f"{id_} {number} {salt}".encode()).hexdigest()))


async def copy_conversation(
    connection: asyncpg.Connection,
    conversation_id: str,
    copies: int,
    *,
    repeats: int = 1,
    owners: int = 0,
) -> str:
    """Copy a conversation with all that belongs to it; returns the salt of the copies' ids.

    Args:
        connection: Of a superuser.
        conversation_id: The one to copy; all its turns are over.
        copies: How many to make.
        repeats: How often each of them holds what was said.
        owners: Over how many new users they are spread; 0 leaves them to the same one.
    """
    salt = os.urandom(8).hex()
    async with connection.transaction():
        # Neither foreign keys nor other triggers: they would take as long as the rows themselves.
        await connection.execute("SET LOCAL session_replication_role = replica")
        owner, turns = await connection.fetchrow(
            "SELECT user_id, last_turn FROM conversations WHERE id = $1", UUID(conversation_id)
        )
        made = _Made(salt, turns, repeats, owners)
        if owners:
            await connection.execute(
                "INSERT INTO users (id, last_task)"
                f" SELECT {made.owner('copy.number')}, last_task FROM users,"
                f" generate_series(0, {owners - 1}) AS copy (number) WHERE id = $1",
                owner,
            )
            await connection.execute(
                "INSERT INTO tasks (user_id, id, title, description)"
                f" SELECT {made.owner('copy.number')}, id, title, description FROM tasks,"
                f" generate_series(0, {owners - 1}) AS copy (number) WHERE user_id = $1",
                owner,
            )
        for table, belongs in _TABLES.items():
            names = await _columns(connection, table)
            repeat = "0, 0" if table == "conversations" else f"0, {repeats - 1}"
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(names)})"
                f" SELECT {', '.join(made.value(table, name) for name in names)}"
                f" FROM generate_series(0, {copies - 1}) AS copy (number),"
                f" generate_series({repeat}) AS repeat (number), {table} AS old WHERE {belongs}",
                UUID(conversation_id),
            )
    return salt


async def _columns(connection: asyncpg.Connection, table: str) -> list[str]:
    rows: list[Any] = await connection.fetch(
        "SELECT quote_ident(attname) AS name FROM pg_attribute WHERE attrelid = $1::text::regclass"
        " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        table,
    )
    return [row["name"] for row in rows]


class _Made:
    """What differs between copies, as SQL."""

    def __init__(self, salt: str, turns: int, repeats: int, owners: int) -> None:
        self._salt, self._turns, self._repeats, self._owners = salt, turns, repeats, owners

    def owner(self, number: str) -> str:
        return f"'{self._salt}-' || lpad(({number} % {self._owners})::text, 8, '0')"

    def value(self, table: str, column: str) -> str:
        of_conversation = f"old.{column}::text || ' ' || copy.number"
        of_turn = f"old.{column}::text || ' ' || copy.number * {self._repeats} + repeat.number"
        of_table = of_conversation if table == "conversations" else of_turn
        shifted = f"old.{column} + repeat.number * {self._turns}"
        values = {
            "user_id": self.owner("copy.number") if self._owners else "old.user_id",
            "conversation_id": self._id(of_conversation),
            "turn_id": self._id(of_turn),
            "id": self._id(of_table),
            "turn_number": shifted,
            "last_turn": f"old.last_turn * {self._repeats}",
        }
        if table == "turns":
            values["number"] = shifted
        return values.get(column, f"old.{column}")

    def _id(self, text: str) -> str:
        return f"md5({text} || ' {self._salt}')::uuid"


async def copy_of_lean(
    connection: asyncpg.Connection, conversation_id: int, copies: int
) -> list[int]:
    """Copy a conversation of the lean server; returns the ids of the copies."""
    made: list[int] = []
    async with connection.transaction():
        for _ in range(copies):
            made.append(
                await connection.fetchval(
                    "INSERT INTO conversations (user_id)"
                    " SELECT user_id FROM conversations WHERE id = $1 RETURNING id",
                    conversation_id,
                )
            )
        await connection.execute(
            "INSERT INTO messages (conversation_id, role, content)"
            " SELECT made.id, role, content FROM unnest($2::bigint[]) AS made (id), messages"
            " WHERE conversation_id = $1 ORDER BY messages.id",
            conversation_id,
            made,
        )
    return made
