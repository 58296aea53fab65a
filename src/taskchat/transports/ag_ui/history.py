"""What a client that has nothing, or not all, is sent first: what was said, and the tasks."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from ag_ui.core import (
    AssistantMessage,
    Message,
    MessagesSnapshotEvent,
    StateSnapshotEvent,
    UserMessage,
)

from taskchat.conversations import repository
from taskchat.conversations.messages import END, messages_before
from taskchat.conversations.schemas import ListedMessage
from taskchat.external_ids.repository import texts_of
from taskchat.http.pages import LIMIT_MAX
from taskchat.postgres.database import Connection
from taskchat.principal import Principal
from taskchat.tasks.repository import list_tasks
from taskchat.transports.ag_ui.telling import called_messages
from taskchat.transports.dependencies import LiveDeps
from taskchat.turns import store
from taskchat.turns.states import TurnRef

PROTOCOL: Final = "ag-ui"
"""Under this name, what clients call their messages and conversations is kept."""


async def under_way(live: LiveDeps, principal: Principal, conversation_id: UUID) -> TurnRef | None:
    """The first turn of a conversation that is not over."""
    async with live.database.transaction(principal) as connection:
        found = await store.find.first_unfinished(connection, principal, conversation_id)
    return found[0] if found else None


async def behind(live: LiveDeps, turn: TurnRef) -> TurnRef | None:
    """The turn behind one that was told to its end."""
    async with live.database.transaction(turn.principal) as connection:
        found = await store.find.next_after(connection, turn)
    return found[0] if found else None


async def history(
    live: LiveDeps, principal: Principal, conversation_id: UUID, up_to: UUID | None
) -> list[Message]:
    """What was said in a conversation, with the tool calls; the newest, if it is too much.

    Args:
        live: Where it is.
        principal: The conversation's owner.
        conversation_id: The conversation.
        up_to: A turn of which only the user's message belongs to it, and of later ones nothing.
    """
    async with live.database.transaction(principal) as connection:
        branch = await repository.branch_with(connection, principal, conversation_id, None)
        shown = await _newest(connection, principal, conversation_id, branch, live)
        ids = [message.id for message in shown]
        names = await texts_of(connection, principal, PROTOCOL, ids)
    return [one for said in _cut(shown, up_to) for one in _told(said, names, is_cut=up_to)]


async def _newest(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    branch: str | None,
    live: LiveDeps,
) -> list[ListedMessage]:
    found: list[ListedMessage] = []
    place = END
    while (left := live.settings.snapshot_messages_max - len(found)) > 0:
        page, older = await messages_before(
            connection,
            principal,
            conversation_id,
            place,
            branch=branch,
            limit=min(left, LIMIT_MAX),
        )
        found = page + found
        if older is None:
            break
        place = older
    return found


def _cut(shown: Sequence[ListedMessage], up_to: UUID | None) -> Sequence[ListedMessage]:
    for end, said in enumerate(shown, 1):
        if said.turn_id == up_to:
            return shown[:end]
    return shown


def _told(said: ListedMessage, names: dict[UUID, str], *, is_cut: UUID | None) -> Iterator[Message]:
    id_ = names.get(said.id, str(said.id))
    if said.role == "user":
        yield UserMessage(id=id_, role="user", content=said.content)
    # Calls stand with the last message of their turn, and were made before the reply.
    if said.turn_id != is_cut:
        yield from called_messages(said.tool_calls)
    if said.role == "assistant":
        yield AssistantMessage(id=id_, role="assistant", content=said.content)


async def snapshots(
    live: LiveDeps, principal: Principal, messages: Sequence[Message]
) -> tuple[MessagesSnapshotEvent, StateSnapshotEvent]:
    """What a client has to have before it is told what follows."""
    return MessagesSnapshotEvent(messages=list(messages)), await state(live, principal)


async def state(live: LiveDeps, principal: Principal) -> StateSnapshotEvent:
    """The tasks as they are."""
    async with live.database.transaction(principal) as connection:
        tasks = await list_tasks(connection, principal, status="all", limit=LIMIT_MAX + 1)
    shown: dict[str, Any] = {
        "tasks": [task.model_dump(mode="json") for task in tasks[:LIMIT_MAX]],
        "has_more_tasks": len(tasks) > LIMIT_MAX,
    }
    return StateSnapshotEvent(snapshot=shown)
