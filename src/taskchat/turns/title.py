"""Names a conversation after its first turn, and never in its way.

Until then, and wherever that fails, its title is the beginning of the first message. One that
somebody has renamed meanwhile keeps its name.
"""

from collections.abc import Sequence

import structlog

from taskchat.assistant.record import Answer, AnswersOnly
from taskchat.conversations.history import told_lines
from taskchat.conversations.past import past_turns
from taskchat.conversations.repository import replace_title
from taskchat.errors import ServiceError
from taskchat.postgres.line import Precedence
from taskchat.settings import BUILT_IN
from taskchat.texts import is_visible
from taskchat.turns.begin import title_of
from taskchat.turns.deps import TurnDeps
from taskchat.turns.states import TurnRef

log = structlog.get_logger()

QUOTES = " \"'“”„«»"
"""Models put names in quotation marks, whatever they are told."""


async def entitle(turn: TurnRef, deps: TurnDeps) -> Sequence[Answer]:
    """Name the conversation of a first turn.

    Returns:
        The model answers that this took.
    """
    record = AnswersOnly()
    owner, conversation = turn.principal, turn.conversation_id
    try:
        async with deps.database.transaction(owner, Precedence.ACCEPTED) as connection:
            said = await past_turns(connection, owner, turn.id, before=turn.number + 1, turns_max=1)
        if not said:
            return ()
        written = await deps.assistant.entitle("\n".join(told_lines(said)), record)
        title = title_of(written.strip(QUOTES))
        # A built-in model tells what was said, which is no better than its beginning.
        if record.answers[-1].model in BUILT_IN or not is_visible(title):
            return record.answers
        async with deps.database.transaction(owner, Precedence.ACCEPTED) as connection:
            kept = await replace_title(
                connection, owner, conversation, before=title_of(said[0].said), title=title
            )
    except ServiceError as error:
        log.warning("title.failed", turn_id=str(turn.id), error=type(error).__name__)
    else:
        if kept:
            log.info("title.kept", turn_id=str(turn.id))
    return record.answers
