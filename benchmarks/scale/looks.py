"""What the service asks of a database that is full, each by the code that asks it in service."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import Any, Final, get_args
from uuid import UUID

import asyncpg

from taskchat.assistant.run import Needs
from taskchat.conversations import messages, repository
from taskchat.conversations.schemas import MessageOut
from taskchat.housekeeping.chores import Chore, chores_of
from taskchat.limits.buckets import RateLimits
from taskchat.live.rows import Place, events_since, place_now
from taskchat.moments import new_id, utc_now
from taskchat.postgres.database import Connection, Database
from taskchat.principal import Channel, Principal
from taskchat.processes.repository import Lease
from taskchat.schedules import repository as schedules
from taskchat.search.repository import Asked
from taskchat.search.schemas import HitKind
from taskchat.search.service import Search
from taskchat.settings import Settings
from taskchat.tasks.effects import TaskEffect
from taskchat.tasks.repository import list_tasks
from taskchat.turns import store
from taskchat.turns.begin import Begun, NewMessage, begin
from taskchat.turns.events import StoredEvent
from taskchat.turns.lease import ADOPTED_AT_ONCE
from taskchat.turns.states import Claim, TurnRef
from taskchat.usage.repository import Call

PAGE: Final = 50
SHOWN: Final = 100
"""Messages that an answer shows of its conversation."""
LEASE: Final = Lease(86_400, 60)
"""Longer than all of it takes: nothing is lost on the way."""
HELD: Final = 1000
"""Turns that are running wherever something is measured, or a hundredth of all if that is fewer."""

# Whoever has a running turn, and whoever says most, is nobody's pick.
_BUSY: Final = "user_id LIKE '%f'"
_PICKED: Final = (
    "SELECT * FROM (SELECT DISTINCT ON (user_id) user_id, conversation_id, id, number"
    " FROM turns TABLESAMPLE SYSTEM ({share}) REPEATABLE (7)"
    f" WHERE NOT {_BUSY} AND user_id <> '00000000') AS one ORDER BY md5(id::text) LIMIT {{count}}"
)
_RECENT: Final = (
    "SELECT user_id, conversation_id, id, number FROM turns"
    f" WHERE idempotency_key = id::text AND NOT {_BUSY} ORDER BY md5(id::text) LIMIT {{count}}"
)
_GREATEST: Final = (
    "SELECT user_id, conversation_id, id, number FROM turns"
    " WHERE user_id = '00000000' ORDER BY number DESC LIMIT 1"
)
_SETTING: Final = (
    # Of a hundred processes one has died.
    "INSERT INTO processes (id, since, seen_at, expires_at) SELECT md5('p' || n)::uuid,"
    " now() - interval '1 day', now(),"
    " CASE n WHEN 0 THEN now() - interval '1 hour' ELSE now() + interval '1 day' END"
    " FROM generate_series(0, 99) AS n ON CONFLICT DO NOTHING",
)
_HELD: Final = (
    "UPDATE turns SET status = 'running', finished_at = NULL, owner = md5('p{owner}')::uuid,"
    " lease_expires_at = now() - interval '1 minute'"
    " WHERE (user_id, id) IN (SELECT user_id, id FROM"
    f" (SELECT DISTINCT ON (user_id) user_id, id FROM turns WHERE {_BUSY} AND status = 'completed'"
    " AND user_id {side} '8') AS one LIMIT {held})"
)
_LOST: Final = "SELECT count(*) FROM turns WHERE status = 'running' AND owner = md5('p0')::uuid"

AMPLE: Final[dict[str, Any]] = dict.fromkeys(
    (
        "rate_user_per_minute",
        "rate_conversation_per_minute",
        "rate_channel_per_minute",
        "rate_tokens_per_minute",
    ),
    1_000_000,
)
"""Limits that refuse nobody and are counted all the same."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A user, one of their conversations and a turn in it."""

    principal: Principal
    conversation: UUID
    turn: UUID
    number: int


Ask = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Looks:
    """What is measured in one database.

    Args:
        database: Its only pool, of one connection: what is prepared once is prepared for all.
        settings: As in service, with ample limits.
        spots: Of users picked at random, each of them once.
        recent: Turns whose events and keys are there still.
        greatest: Of whoever says most, in their longest conversation.
        process: Who acts.
        lost: How many turns wait for a takeover.
    """

    database: Database
    settings: Settings
    spots: Sequence[Spot]
    recent: Sequence[Spot]
    greatest: Spot
    process: UUID
    lost: int
    _begun: list[Begun] = field(default_factory=list)

    def all(self) -> Iterator[tuple[str, Iterable[Ask]]]:
        """What is measured, by name, in this order, with what asks for it, once for each time."""
        yield "admission", (partial(self.admission, spot) for spot in self.spots)
        yield "tool call", [partial(self.tool_call, begun) for begun in self._begun]
        yield "settle, with the conversation", self._settling()
        new = partial(self.admission, is_new=True)
        yield "admission, new conversation", (partial(new, spot) for spot in self.spots)
        again = len(self.spots)
        for name, look in (
            ("history page", self.history),
            ("conversations", self.conversations),
            ("tasks", self.tasks),
            ("search, a rare word", partial(self.search, words="needle")),
            ("search, a common word", partial(self.search, words="added")),
        ):
            yield name, (partial(look, spot) for spot in self.spots)
            if name != "tasks":
                yield f"{name}: who says most", repeat(partial(look, self.greatest), again)
        for name, look in (
            ("replay of a turn", self.replay),
            ("place, and what is new", self.follow),
            ("key that was used", self.key),
        ):
            yield name, (partial(look, spot) for spot in self.recent)
        rounds, rest = divmod(self.lost, ADOPTED_AT_ONCE)
        # The rest first, which only warms up.
        taken = [rest] * bool(rest) + [ADOPTED_AT_ONCE] * rounds
        yield f"takeover of {ADOPTED_AT_ONCE} turns", (partial(self.sweep, n) for n in taken)
        yield "sweep, nothing lost", repeat(partial(self.sweep, 0), again)
        due = partial(schedules.claim_due, hold_s=60, rows_max=20)
        yield "schedules that are due", repeat(partial(self.spare, due), again)
        # Of each batch the next one has less to do.
        for chore in chores_of(self.settings):
            yield f"chore: {chore.name}", repeat(partial(self.chore, chore), again)

    def _settling(self) -> Iterator[Ask]:
        while self._begun:
            yield partial(self.settle, self._begun.pop())

    async def admission(self, spot: Spot, *, is_new: bool = False) -> None:
        """A message of a known conversation, or of a new one, with the history for its run."""
        begun = await begin(
            self.database,
            spot.principal,
            NewMessage(
                "Buy w7",
                None if is_new else spot.conversation,
                Channel.REST,
                str(new_id()),
                "",
            ),
            limits=RateLimits(self.settings),
            process=self.process,
            lease_s=LEASE.seconds,
            queue_max=20,
            active_max=None,
            conversations_max=100_000,
            versions_max=20,
            needs=Needs(self.settings.history_turns_max, 1000, 4.0, open_tasks=True, summary=True),
            draining=lambda: False,
        )
        assert isinstance(begun, Begun)
        self._begun.append(begun)

    async def tool_call(self, begun: Begun) -> None:
        assert begun.claim is not None
        recorded = await store.record.call_tool(
            self.database,
            begun.claim,
            process=self.process,
            id_=new_id(),
            call_id="call_1",
            position=0,
            tool_name="add_task",
            arguments={},
            effect=TaskEffect("add", done="created", title="Buy milk", description=""),
            given=None,
            answers=[],
            events=[StoredEvent(begun.turn.id, begun.turn.number, 3, "tool_call", "{}")],
            result_seq=4,
            result_head='{"result":',
        )
        assert recorded is not None

    async def settle(self, begun: Begun) -> None:
        assert begun.claim is not None
        turn, now = begun.turn, utc_now()
        settled = await store.settle.settle(
            self.database,
            begun.claim,
            status="completed",
            result="{}",
            reply=MessageOut(
                id=new_id(),
                turn_id=turn.id,
                role="assistant",
                content="Added",
                created_at=now,
                tool_calls=[],
            ),
            model="m",
            counted_for="m",
            calls=[Call("m", 1, 0, 1, 1, None)],
            events=[StoredEvent(turn.id, turn.number, 5, "final", "{}")],
            process=self.process,
            tokens_per_minute=100_000,
            messages_max=SHOWN,
        )
        assert settled is not None

    async def history(self, spot: Spot) -> None:
        async with self.database.transaction(spot.principal) as connection:
            branch = await repository.branch_with(
                connection, spot.principal, spot.conversation, None
            )
            rows, _ = await messages.messages_before(
                connection,
                spot.principal,
                spot.conversation,
                messages.END,
                branch=branch,
                limit=PAGE,
            )
            assert rows

    async def conversations(self, spot: Spot) -> None:
        async with self.database.transaction(spot.principal) as connection:
            assert await repository.list_conversations(
                connection, spot.principal, limit=PAGE, after=None, status=None, archived=None
            )

    async def tasks(self, spot: Spot) -> None:
        async with self.database.transaction(spot.principal) as connection:
            assert await list_tasks(connection, spot.principal, status="pending", limit=PAGE)

    async def search(self, spot: Spot, words: str) -> None:
        search = Search(self.database, None, self.settings)
        kinds: tuple[HitKind, ...] = get_args(HitKind)
        await search.page(spot.principal, Asked(words, kinds, None, None), limit=20, after=None)

    async def replay(self, spot: Spot) -> None:
        """All events of a turn, as a stream that is taken up again reads them."""
        turn = TurnRef(spot.principal, spot.turn, spot.conversation, spot.number)
        async with self.database.transaction(spot.principal) as connection:
            assert await store.events.find_turn(connection, spot.principal, spot.turn)
            assert await store.events.read_after(connection, turn, 0)

    async def follow(self, spot: Spot) -> None:
        """Where a conversation stands, and what is new in it since its last turn."""
        await place_now(self.database, spot.principal, spot.conversation)
        await events_since(self.database, spot.principal, spot.conversation, Place(spot.number))

    async def key(self, spot: Spot) -> None:
        """A key that was used: the turn that it began, whose id it is here."""
        async with self.database.transaction(spot.principal) as connection:
            assert await store.find.by_key(connection, spot.principal, str(spot.turn))

    async def sweep(self, turns: int) -> None:
        """Look for turns whose owners are lost, and take so many."""
        async with self.database.system_transaction() as connection:
            found: Sequence[Claim] = await store.claim.adopt(
                connection, process=self.process, lease=LEASE, turns_max=turns or 1, here=()
            )
        assert len(found) == turns, len(found)

    async def chore(self, chore: Chore) -> None:
        async with self.database.spare_transaction() as connection:
            await chore.batch(connection, rows_max=self.settings.chore_rows_max)

    async def spare(self, ask: Callable[[Connection], Awaitable[object]]) -> None:
        async with self.database.spare_transaction() as connection:
            await ask(connection)


@contextlib.asynccontextmanager
async def looks_at(
    url: str, direct: asyncpg.Connection, *, count: int, **changes: Any
) -> AsyncIterator[Looks]:
    """What is measured of a filled database: each look as often as `count`, or nearly.

    Args:
        url: Its address.
        direct: A superuser's connection to it.
        count: How many users are picked.
        changes: Of the settings.
    """
    settings = Settings(_env_file=None, database_url=url, db_pool_size=1, **(AMPLE | changes))
    turns = await direct.fetchval(
        "SELECT reltuples::bigint FROM pg_class WHERE oid = 'turns'::regclass"
    )
    for statement in _SETTING:
        await direct.execute(statement)
    held = int(min(HELD, turns // 100))
    for owner, side in ((2, "<"), (0, ">=")):
        await direct.execute(_HELD.format(owner=owner, side=side, held=held))
    lost = await direct.fetchval(_LOST)
    await direct.execute("ANALYZE processes")
    share = min(100, 100 * 50 * count / turns)
    picked = [_PICKED.format(share=share, count=count), _RECENT.format(count=count), _GREATEST]
    spots, recent, [greatest] = [
        [Spot(Principal(row[0]), *row[1:]) for row in await direct.fetch(query)] for query in picked
    ]
    process: UUID = await direct.fetchval("SELECT md5('p1')::uuid")
    database = Database(url, settings)
    try:
        yield Looks(database, settings, spots, recent, greatest, process, lost)
    finally:
        await database.close()
