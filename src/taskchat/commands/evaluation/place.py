"""Where cases run: a Postgres of their own, so that nobody's tasks are touched."""

import asyncio
from collections.abc import Callable, Sequence

from pydantic import SecretStr

from taskchat.commands.evaluation.cases import Case
from taskchat.commands.evaluation.run import Outcome, Report, evaluate
from taskchat.postgres.embedded import ephemeral_data_dir, start_postgres
from taskchat.postgres.migrations import upgrade
from taskchat.settings import Settings

UNLIMITED = dict.fromkeys(
    (
        "rate_user_per_minute",
        "rate_conversation_per_minute",
        "rate_channel_per_minute",
        "rate_tokens_per_minute",
    ),
    0,
)
"""A case says in a second what a person says in ten minutes."""


def evaluated(
    cases: Sequence[Case],
    settings: Settings,
    *,
    at_once: int,
    progress: Callable[[Outcome], None],
) -> Report:
    """Run cases on an embedded Postgres that is removed at the end.

    Raises:
        EmbeddedPostgresError: embedded Postgres is not available.
    """
    url = start_postgres(ephemeral_data_dir())
    upgrade(url, settings=settings)
    place = {"database_url": SecretStr(url), "database_direct_url": None, **UNLIMITED}
    return asyncio.run(
        evaluate(cases, settings.model_copy(update=place), at_once=at_once, progress=progress)
    )
