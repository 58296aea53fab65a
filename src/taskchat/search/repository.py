"""SQL of searching. Whose rows are looked at is bound inside each function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from taskchat.conversations.schemas import Role
from taskchat.postgres.database import Database, Function
from taskchat.postgres.line import Precedence
from taskchat.principal import Principal
from taskchat.search.ranking import Found, Scored
from taskchat.search.schemas import HitKind

_FIND: Final = Function(
    "search_find_1",
    *("asked", "languages", "kinds", "conversation", "until", "each_max"),
)
_SHOW: Final = Function("search_show_1", "asked", "languages", "messages", "conversations", "tasks")

_VOCABULARY: Final = Function("search_vocabulary_1", "asked", "languages", "until", "each_max")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for, and where.

    Attributes:
        text: As it was typed.
        kinds: What may be found.
        conversation_id: Only in this conversation; None for anywhere.
        until: Only what was there by then; None for what there is now.
    """

    text: str
    kinds: Sequence[HitKind]
    conversation_id: UUID | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a thing that was found.

    Attributes:
        role: Who said it, of a message.
        title: The conversation's, or the task's.
        said: Its whole text.
        words: Words of it that were looked for, folded.
    """

    role: Role | None
    title: str | None
    said: str
    words: frozenset[str]


async def find_words(
    database: Database,
    principal: Principal,
    asked: Asked,
    *,
    languages: Sequence[str],
    each_max: int,
) -> Sequence[Scored]:
    """What has the words that are looked for; what has any of them if nothing has them all.

    Args:
        database: Where to look.
        principal: Whose.
        asked: What for.
        languages: In which to know a word by its other forms.
        each_max: Of each kind, the newest so many.
    """
    rows = await database.call_for_rows(
        principal,
        _FIND,
        {
            "asked": asked.text,
            "languages": languages,
            "kinds": asked.kinds,
            "conversation": asked.conversation_id,
            "until": asked.until,
            "each_max": each_max,
        },
        Precedence.ARRIVING,
    )
    return [Scored(Found(*(row[name] for name in Found.__slots__)), row.score) for row in rows]


async def find_vocabulary(
    database: Database,
    principal: Principal,
    asked: Asked,
    *,
    languages: Sequence[str],
    each_max: int,
) -> Mapping[str, Sequence[str]]:
    """By each word that is looked for, words of the user's that begin as it does."""
    rows = await database.call_for_rows(
        principal,
        _VOCABULARY,
        {
            "asked": asked.text,
            "languages": languages,
            "until": asked.until,
            "each_max": each_max,
        },
        Precedence.ARRIVING,
    )
    return {row.asked: row.words for row in rows}


async def show(
    database: Database,
    principal: Principal,
    text: str,
    things: Sequence[Found],
    *,
    languages: Sequence[str],
) -> Mapping[str, Shown]:
    """What is shown of things that were found, by their keys; without what is gone meanwhile."""
    rows = await database.call_for_rows(
        principal,
        _SHOW,
        {
            "asked": text,
            "languages": languages,
            "messages": [one.message_id for one in things if one.kind == "message"],
            "conversations": [one.conversation_id for one in things if one.kind == "conversation"],
            "tasks": [one.task_id for one in things if one.kind == "task"],
        },
        Precedence.ARRIVING,
    )
    return {
        f"{row.kind} {row.message_id or row.task_id or row.conversation_id}": Shown(
            row.role, row.title, row.said, frozenset(row.words)
        )
        for row in rows
    }
