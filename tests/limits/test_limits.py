"""Rate limits: counted once over all processes, free for repetitions, and never in the way."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, person_in, says, scripted
from tests.house import do_chores
from tests.live.served import served, socket

from taskchat.assistant.run import Needs
from taskchat.errors import RateLimited
from taskchat.limits import repository
from taskchat.limits.buckets import RateLevel, RateLimits, level_of, tightest
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.principal import Channel
from taskchat.settings import Settings
from taskchat.turns.begin import Begun, NewMessage, begin

LEVELS = {"user": "rate_user", "conversation": "rate_conversation", "channel": "rate_channel"}


async def age(superuser: AsyncEngine, person: Person, seconds: float) -> None:
    """What time does to a person's buckets."""
    async with superuser.begin() as connection:
        await connection.execute(
            text(
                "UPDATE rate_buckets SET updated_at = updated_at - make_interval(secs => :s)"
                " WHERE user_id = :o"
            ),
            {"o": person.user_id, "s": seconds},
        )


async def let_pass(superuser: AsyncEngine, person: Person, seconds: float) -> None:
    """So much time since a person's buckets were last spent from, however long that really is.

    Less than none is a clock that stands still.
    """
    async with superuser.begin() as connection:
        await connection.execute(
            text(
                "UPDATE rate_buckets SET updated_at = clock_timestamp() - make_interval(secs => :s)"
                " WHERE user_id = :o"
            ),
            {"o": person.user_id, "s": seconds},
        )


def limits(**per_minute: int) -> RateLimits:
    none = dict.fromkeys((*LEVELS.values(), "rate_tokens"), 0)
    changes = {f"{name}_per_minute": value for name, value in {**none, **per_minute}.items()}
    return RateLimits(Settings(_env_file=None).model_copy(update=changes))


async def test_a_message_over_a_limit_is_refused_stored_nowhere_and_taken_later(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person, before = Person(), time.time()
    async with running_app(rate_user_per_minute=2) as running:
        for left in (1, 0):
            answer = await person.say(running.client, "hello")
            assert answer.headers["x-ratelimit-limit"] == "2"
            assert answer.headers["x-ratelimit-remaining"] == str(left)
            assert int(answer.headers["x-ratelimit-reset"]) > before
        refused = await person.say(running.client, "once too often", key="k")
        assert error_of(refused, 429, "once too often")["error_code"] == "rate_limited"
        assert refused.headers["x-ratelimit-remaining"] == "0"
        wait_s = int(refused.headers["retry-after"])
        assert 1 <= wait_s <= 30
        async with superuser.connect() as connection:
            stored = await connection.scalar(
                text("SELECT count(*) FROM messages WHERE user_id = :o AND position = 0"),
                {"o": person.user_id},
            )
        assert stored == 2
        # Coming back when it says so works.
        await age(superuser, person, wait_s)
        later = await person.say(running.client, "once too often", key="k")
        assert later.status_code == 200
        assert "idempotent-replayed" not in later.headers


@pytest.mark.parametrize("level", LEVELS)
async def test_each_level_is_a_limit_of_its_own(running_app: AppMaker, level: str) -> None:
    person, other = Person(), Person()
    async with running_app(**{f"{LEVELS[level]}_per_minute": 1}) as running:
        first = await person.say(running.client, "hello")
        conversation = first.json()["conversation_id"]
        again = await person.say(running.client, "hello", conversation_id=conversation)
        assert error_of(again, 429)["error_code"] == "rate_limited"
        elsewhere = await person.say(running.client, "hello")
        assert elsewhere.status_code == (200 if level == "conversation" else 429)
        by_stream = await running.client.post(
            person.chat_path,
            json={"message": "hello"},
            headers=person.headers | {"Accept": "text/event-stream"},
        )
        assert by_stream.status_code == (429 if level == "user" else 200)
        assert (await other.say(running.client, "hello")).status_code == 200


async def test_limits_hold_over_two_processes_at_once(running_app: AppMaker) -> None:
    person = Person()
    async with (
        running_app(rate_user_per_minute=13) as one,
        running_app(rate_user_per_minute=13) as two,
    ):
        answers = await asyncio.gather(
            *(person.say(app.client, "hello") for app in [one, two] * 20)
        )
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(429)) == (13, 27)


async def test_a_refused_message_costs_nothing_of_the_other_limits(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app(rate_user_per_minute=5, rate_conversation_per_minute=1) as running:
        conversation = (await person.say(running.client, "hello")).json()["conversation_id"]
        for _ in range(6):
            refused = await person.say(running.client, "more", conversation_id=conversation)
            assert refused.status_code == 429
        missing = await person.say(running.client, "x", conversation_id=str(new_id()))
        assert error_of(missing, 404)["error_code"] == "not_found"
        assert missing.headers["x-ratelimit-remaining"] == "1"
        for left in (3, 2, 1):
            answer = await person.say(running.client, "elsewhere")
            told = (await running.client.get(_path(person), headers=person.headers)).json()
            assert answer.status_code == 200
            assert told["limits"][0]["remaining"] == left


async def test_a_repetition_is_free_and_says_what_is_left(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(rate_user_per_minute=1) as running:
        first = await person.say(running.client, "hello", key="k")
        for _ in range(3):
            again = await person.say(running.client, "hello", key="k")
            assert again.content == first.content
            assert again.headers["x-ratelimit-remaining"] == "0"


async def test_an_answer_that_is_an_error_carries_the_limits(running_app: AppMaker) -> None:
    person = Person()
    _, chain = scripted()
    async with running_app(chain=chain, rate_user_per_minute=5) as running:
        answer = await person.say(running.client, "hello")
    assert answer.status_code == 502
    assert answer.headers["x-ratelimit-remaining"] == "4"


async def test_model_tokens_are_counted_when_a_turn_is_over(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    _, chain = scripted(says("One."), says("Two."))
    async with running_app(chain=chain, rate_tokens_per_minute=600) as running:
        assert (await person.say(running.client, "hello")).status_code == 200
        async with running.live.database.transaction(person.principal) as connection:
            await running.turns.limits.debit_tokens(connection, person.principal, 700)
        refused = await person.say(running.client, "hello")
        assert error_of(refused, 429)["error"].startswith("600 model tokens a minute")
        wait_s = int(refused.headers["retry-after"])
        assert 10 <= wait_s <= 11
        told = (await running.client.get(_path(person), headers=person.headers)).json()["limits"]
        assert (told[0]["scope"], told[0]["remaining"]) == ("tokens", 0)
        await age(superuser, person, wait_s)
        assert (await person.say(running.client, "hello")).status_code == 200


async def test_what_a_turn_used_is_debited(running_app: AppMaker, superuser: AsyncEngine) -> None:
    from agents.testing import ModelStep, assistant_message
    from agents.usage import Usage

    person = Person()
    usage = Usage(requests=1, input_tokens=40, output_tokens=2, total_tokens=42)
    _, chain = scripted(ModelStep([assistant_message("Hi.")], usage=usage))
    async with running_app(chain=chain, rate_tokens_per_minute=1_000_000) as running:
        answer = (await person.say(running.client, "hello")).json()
        assert answer["usage"] == {"model_calls": 1, "input_tokens": 40, "output_tokens": 2}
        async with asyncio.timeout(60):
            while True:
                async with superuser.connect() as connection:
                    level = await connection.scalar(
                        text(
                            "SELECT level FROM rate_buckets WHERE user_id = :o AND scope = 'tokens'"
                        ),
                        {"o": person.user_id},
                    )
                if level is not None and level < 1_000_000:
                    break
                await asyncio.sleep(0.01)
    assert level == pytest.approx(999_958, abs=1)


@contextlib.asynccontextmanager
async def failing_limiter(superuser: AsyncEngine, person: Person) -> AsyncIterator[None]:
    """The server can't write this person's buckets."""
    name = f"broken_{new_id().hex}"
    async with superuser.begin() as connection:
        for statement in (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no'; END $$",
            f"CREATE TRIGGER {name} BEFORE INSERT ON rate_buckets FOR EACH ROW WHEN"
            f" (NEW.user_id = '{person.user_id}') EXECUTE FUNCTION {name}()",
        ):
            await connection.execute(text(statement))
    try:
        yield
    finally:
        async with superuser.begin() as connection:
            await connection.execute(text(f"DROP FUNCTION {name} CASCADE"))


async def test_a_failing_limiter_lets_turns_through_and_is_counted(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    def failures(what: str) -> float:
        labels = {"what": what}
        return REGISTRY.get_sample_value("taskchat_limiter_failures_total", labels) or 0.0

    person = Person()
    before = failures("turns")
    async with failing_limiter(superuser, person), running_app(rate_user_per_minute=1) as running:
        for _ in range(3):
            answer = await person.say(running.client, "hello")
            assert answer.status_code == 200
            assert "x-ratelimit-limit" not in answer.headers
    assert failures("turns") == before + 3


async def test_a_failing_limiter_does_not_undo_a_turn_whose_tokens_it_can_not_count(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    from agents.testing import ModelStep, assistant_message
    from agents.usage import Usage

    person = Person()
    usage = Usage(requests=1, input_tokens=40, output_tokens=2, total_tokens=42)
    _, chain = scripted(ModelStep([assistant_message("Hi.")], usage=usage))
    before = REGISTRY.get_sample_value("taskchat_limiter_failures_total", {"what": "tokens"}) or 0
    async with (
        failing_limiter(superuser, person),
        running_app(chain=chain, rate_tokens_per_minute=100) as running,
    ):
        assert (await person.say(running.client, "hello")).status_code == 200
        async with asyncio.timeout(60):
            while (
                REGISTRY.get_sample_value("taskchat_limiter_failures_total", {"what": "tokens"})
                or 0
            ) == before:
                await asyncio.sleep(0.01)


def _path(person: Person) -> str:
    return f"/api/{person.user_id}/limits"


async def test_the_limits_can_be_read_and_reading_costs_nothing(
    running_app: AppMaker,
) -> None:
    person = Person()
    changes = dict.fromkeys((f"{name}_per_minute" for name in (*LEVELS.values(), "rate_mcp")), 4)
    async with running_app(**changes) as running:
        said = await person.say(running.client, "hello")
        conversation = said.json()["conversation_id"]
        for _ in range(2):
            answer = await running.client.get(
                _path(person), headers=person.headers, params={"conversation_id": conversation}
            )
            left = {one["scope"]: one["remaining"] for one in answer.json()["limits"]}
            assert left == {
                "user": 3,
                f"conversation:{conversation}": 3,
                "channel:rest": 3,
                "channel:sse": 4,
                "channel:websocket": 4,
                "channel:schedule": 4,
                "mcp": 4,
            }
        odd = await running.client.get(
            _path(person), headers=person.headers, params={"conversation_id": "{x}"}
        )
        assert error_of(odd, 400)["details"][0]["field"] == "conversation_id"


async def test_where_nothing_is_limited_nothing_is_said(client: httpx.AsyncClient) -> None:
    person = Person()
    answer = await person.say(client, "hello")
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]
    assert (await client.get(_path(person), headers=person.headers)).json() == {"limits": []}


async def test_over_the_rate_a_socket_is_told_and_stays(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(rate_channel_per_minute=1) as running, served(running) as url:
        async with socket(url, person) as one:
            await one.send("message", content="hello")
            await one.until("turn_completed")
            await one.send("message", content="more", id="m")
            told = await one.next()
            assert (told["type"], told["code"], told["reply_to"]) == (
                "rate_limit_exceeded",
                "RATE_LIMITED",
                "m",
            )
            assert 1 <= told["retry_after"] <= 60
            await one.send("ping")
            assert (await one.next())["type"] == "pong"


# --- the buckets themselves ---


NOTHING = Needs(0, 0, 1.0, open_tasks=False, summary=False)


async def spend(database: Database, person: Person, of: RateLimits, times: int = 1) -> Any:
    """What is left after so many messages in one conversation that nobody answers."""
    level: RateLevel | None = None
    conversation = None
    for _ in range(times):
        begun = await begin(
            database,
            person.principal,
            NewMessage("hello", conversation, Channel.REST, None, ""),
            limits=of,
            process=new_id(),
            lease_s=3600,
            queue_max=1000,
            active_max=None,
            conversations_max=1000,
            versions_max=5,
            needs=NOTHING,
            draining=lambda: False,
        )
        assert isinstance(begun, Begun)
        level, conversation = begun.rate, begun.turn.conversation_id
    return level


async def test_a_bucket_refills_evenly_and_never_over_its_brim(
    database: Database, superuser: AsyncEngine
) -> None:
    person, of = await person_in(database), limits(rate_user=6)
    await spend(database, person, of)
    await let_pass(superuser, person, -3600)
    assert (await spend(database, person, of, 5)).remaining == 0
    with pytest.raises(RateLimited) as refused:
        await spend(database, person, of)
    assert refused.value.retry_after_s == 10
    # Half a message is none, and half of what two would be.
    await let_pass(superuser, person, 5)
    with pytest.raises(RateLimited):
        await spend(database, person, of)
    await let_pass(superuser, person, 25)
    assert (await spend(database, person, of)).remaining == 1
    await let_pass(superuser, person, 100_000)
    assert (await spend(database, person, of)).remaining == 5


async def test_a_changed_setting_counts_from_the_next_message_on(database: Database) -> None:
    person = await person_in(database)
    await spend(database, person, limits(rate_user=100))
    assert (await spend(database, person, limits(rate_user=3))).remaining == 2
    assert await spend(database, person, limits()) is None


async def test_the_tightest_level_is_told(database: Database) -> None:
    person = await person_in(database)
    level = await spend(database, person, limits(rate_user=9, rate_channel=5, rate_conversation=7))
    assert (level.scope, level.limit, level.remaining) == ("channel:rest", 5, 4)
    assert tightest([]) is None


async def test_of_several_limits_that_are_used_up_the_longest_wait_is_told(
    database: Database,
) -> None:
    person = await person_in(database)
    await spend(database, person, limits(rate_user=60, rate_channel=6))
    of = limits(rate_user=60, rate_channel=1)
    await spend(database, person, of)
    with pytest.raises(RateLimited, match="over one channel") as refused:
        await spend(database, person, of)
    # Ten seconds are what the first level's message would take.
    assert 10 < (refused.value.retry_after_s or 0) <= 60


def test_a_level_says_when_there_is_one_and_when_all_are_back() -> None:
    before = time.time()
    empty, full = level_of("user", 30, 0.0), level_of("user", 30, 30.0)
    after = time.time()
    assert (empty.remaining, empty.retry_after_s) == (0, 2)
    assert math.ceil(before + 60) <= empty.reset_at <= math.ceil(after + 60)
    assert (full.remaining, full.retry_after_s) == (30, 0)
    assert math.ceil(before) <= full.reset_at <= math.ceil(after)
    # Floating-point dust is no message too few.
    assert level_of("user", 30, 0.9999999).retry_after_s == 0
    assert level_of("tokens", 60, -30.0).retry_after_s == 31


async def buckets(superuser: AsyncEngine, person: Person) -> list[tuple[str, float]]:
    async with superuser.connect() as connection:
        rows = await connection.execute(
            text("SELECT scope, level FROM rate_buckets WHERE user_id = :o ORDER BY scope"),
            {"o": person.user_id},
        )
        return [(row.scope, row.level) for row in rows]


async def overdraw(database: Database, person: Person, *, per_minute: int, cost: int) -> None:
    async with database.transaction(person.principal) as connection:
        await repository.spend(
            connection, person.principal, repository.TOKENS, per_minute=per_minute, cost=cost
        )


async def test_model_tokens_are_forgotten_once_all_are_back_and_a_debt_before_that_is_not(
    offline_app: RunningApp, database: Database, superuser: AsyncEngine
) -> None:
    back, short, recent = [await person_in(database) for _ in range(3)]
    passed = repository.IDLE_S + 60
    for person, cost in ((back, passed - 1), (short, passed + 60), (recent, 1)):
        await overdraw(database, person, per_minute=60, cost=cost)
    for person in (back, short):
        await let_pass(superuser, person, passed)
    live = offline_app.live
    await do_chores(live.database, live.settings)
    assert await buckets(superuser, back) == []
    assert await buckets(superuser, short) == [("tokens", -passed)]
    assert await buckets(superuser, recent) == [("tokens", 59)]
    # Nothing was lost by it: the next one finds a full one.
    await overdraw(database, back, per_minute=60, cost=5)
    assert await buckets(superuser, back) == [("tokens", 55)]


async def test_a_bucket_that_is_spent_from_meanwhile_is_not_forgotten(
    database: Database, superuser: AsyncEngine
) -> None:
    person = await person_in(database)
    await overdraw(database, person, per_minute=60, cost=1)
    await let_pass(superuser, person, repository.IDLE_S + 60)
    async with database.transaction(person.principal) as connection:
        await repository.spend(
            connection, person.principal, repository.TOKENS, per_minute=60, cost=100
        )
        async with database.spare_transaction() as other:
            # It waits for nobody.
            await other.execute(text("SET LOCAL lock_timeout = '1s'"))
            await repository.forget_idle(other, rows_max=1000)
    assert await buckets(superuser, person) == [("tokens", -40)]


async def test_who_spends_while_a_bucket_is_forgotten_spends_from_a_full_one(
    database: Database, superuser: AsyncEngine
) -> None:
    person = await person_in(database)
    await overdraw(database, person, per_minute=60, cost=1)
    await let_pass(superuser, person, repository.IDLE_S + 60)
    async with database.spare_transaction() as other:
        assert await repository.forget_idle(other, rows_max=1000) >= 1
        spending = asyncio.create_task(overdraw(database, person, per_minute=60, cost=100))
        # The other one is held: whether this waits by now or not, it ends only after it.
        await asyncio.sleep(0)
        assert not spending.done()
    await spending
    assert await buckets(superuser, person) == [("tokens", -40)]


async def test_buckets_that_nobody_touched_for_long_are_forgotten(
    offline_app: RunningApp, database: Database, superuser: AsyncEngine
) -> None:
    idle, busy = await person_in(database), await person_in(database)
    for person in (idle, busy):
        await spend(database, person, limits(rate_user=5, rate_channel=5))
    await age(superuser, idle, repository.IDLE_S + 1)
    live = offline_app.live
    await do_chores(live.database, live.settings)
    async with superuser.connect() as connection:
        for person, left in ((idle, 0), (busy, 2)):
            count = await connection.scalar(
                text("SELECT count(*) FROM rate_buckets WHERE user_id = :o"),
                {"o": person.user_id},
            )
            assert count == left
