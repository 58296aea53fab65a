"""Deleting a conversation: what is unfinished in it is lost, and what it has used is counted."""

from uuid import UUID

import structlog

from taskchat.conversations import repository as conversations
from taskchat.conversations.service import no_conversation
from taskchat.principal import Principal
from taskchat.turns import store
from taskchat.turns.deps import TurnDeps
from taskchat.turns.settle import priced
from taskchat.usage.repository import count_apart

log = structlog.get_logger()


async def delete_conversation(
    conversation_id: UUID, *, principal: Principal, deps: TurnDeps
) -> None:
    """Delete a conversation with all it holds. Its turns stop, on whatever process they run.

    Raises:
        NotFound: the principal has no such conversation.
        DatabaseError: the outcome is unknown; a repeat tells.
    """
    async with deps.database.transaction(principal) as connection:
        # Before the conversation: a turn that settles holds its own row and then wants this one.
        unfinished = await store.find.hold_unfinished(connection, principal, conversation_id)
        for turn in unfinished:
            answers = await store.record.recorded_answers(connection, turn)
            if answers:
                await count_apart(connection, principal, priced(answers, deps.prices))
        if not await conversations.delete_conversation(connection, principal, conversation_id):
            raise no_conversation(conversation_id)
        await conversations.tell_end(
            connection, conversation_id, end="deleted", process=deps.process
        )
    for turn in unfinished:
        deps.wakeups.wake(conversation_id, turn.number, 0)
    log.info(
        "conversation.deleted", conversation_id=str(conversation_id), unfinished=len(unfinished)
    )
