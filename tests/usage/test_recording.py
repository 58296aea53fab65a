"""What a turn used is recorded with its end: once, exactly, and for good."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

import httpx
import pytest
from agents import ModelResponse, Usage
from agents.testing import ModelCall as AskedModel
from agents.testing import ModelStep, ScriptedModel, assistant_message
from openai.types.responses import ResponseCompletedEvent, ResponseUsage
from openai.types.responses.response_usage import InputTokensDetails
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.assistant.test_vendor_requests import configured
from tests.assistant.vendor import steps
from tests.assistant.vendor.endpoint import vendor
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted
from tests.turns.test_summary import errands, summaries, talk
from tests.turns.test_takeover import expire, hangs_after, sweep

from taskchat.assistant.models.asking import NamedModel
from taskchat.assistant.models.chain import CALL_TOKENS_MAX
from taskchat.assistant.models.offline import OfflineModel
from taskchat.errors import DatabaseError
from taskchat.postgres.database import Database
from taskchat.turns import attempt

PRICES = (
    '{"gpt-test": {"input": 1.25, "cached_input": 0.125, "output": 10},'
    ' "first": {"input": 2, "output": 4}, "scripted": {"input": 1, "output": 1}}'
)

NOTHING = {
    "turns": 0,
    "model_calls": 0,
    "input_tokens": 0,
    "cached_input_tokens": 0,
    "output_tokens": 0,
    "cost": "0",
    "unpriced_calls": 0,
}


async def used(running: RunningApp, person: Person) -> dict[str, Any]:
    answer = await running.client.get(f"/api/{person.user_id}/usage", headers=person.headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def total(running: RunningApp, person: Person) -> dict[str, Any]:
    """All that the person used, which every level of the answer must say alike."""
    body = await used(running, person)
    for name in NOTHING.keys() - {"cost"}:
        days = [day[name] for day in body["data"]]
        models = [model[name] for day in body["data"] for model in day["models"]]
        assert sum(days) == sum(models) == body["total"][name]
    found: dict[str, Any] = body["total"]
    return found


async def turn_of(running: RunningApp, person: Person, turn_id: Any) -> dict[str, Any]:
    answer = await running.client.get(
        f"/api/{person.user_id}/turns/{turn_id}", headers=person.headers
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def tokens(read: int, cached: int, wrote: int) -> Usage:
    details = InputTokensDetails(cached_tokens=cached, cache_write_tokens=0)
    return Usage(requests=1, input_tokens=read, input_tokens_details=details, output_tokens=wrote)


def counts(read: int, cached: int | None, wrote: int) -> dict[str, Any]:
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": wrote,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + wrote,
    }


# --- what is recorded ---


async def test_a_turn_of_the_built_in_model_is_counted_and_costs_nothing(
    offline_app: RunningApp,
) -> None:
    person = Person()
    said = (await person.say(offline_app.client, "Add task: Buy groceries")).json()
    turn = await turn_of(offline_app, person, said["turn_id"])
    assert [(one["model"], one["cost"]) for one in turn["model_calls"]] == [("offline", "0")] * 2
    assert all(one["duration_ms"] >= 0 for one in turn["model_calls"])
    assert turn["cost"] == "0"
    expected = NOTHING | {"turns": 1, "model_calls": 2}
    body = await used(offline_app, person)
    [day] = body["data"]
    assert day["models"] == [{"model": "offline", **expected}]
    assert {name: day[name] for name in expected} == body["total"] == expected
    assert body["currency"] == "USD"


async def test_calls_turn_and_day_add_up_with_cached_input_at_its_own_price(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with vendor(
        steps.counting(steps.calls("add_task", title="Milk"), 1000, 30),
        steps.counting(steps.says("Added."), 1100, 8, cached=900),
    ) as standing:
        async with running_app(**configured(standing, model_prices=PRICES)) as running:
            said = (await person.say(running.client, "milk, please")).json()
            turn = await turn_of(running, person, said["turn_id"])
            body = await used(running, person)
    assert said["usage"] == {"model_calls": 2, "input_tokens": 2100, "output_tokens": 38}
    for one in turn["model_calls"]:
        assert one.pop("duration_ms") >= 0
    assert turn["model_calls"] == [
        {
            "model": "gpt-test",
            "input_tokens": 1000,
            "cached_input_tokens": 0,
            "output_tokens": 30,
            "cost": "0.00155",
        },
        {
            "model": "gpt-test",
            "input_tokens": 1100,
            "cached_input_tokens": 900,
            "output_tokens": 8,
            "cost": "0.0004425",
        },
    ]
    assert turn["cost"] == "0.0019925"
    assert body["total"] == {
        "turns": 1,
        "model_calls": 2,
        "input_tokens": 2100,
        "cached_input_tokens": 900,
        "output_tokens": 38,
        "cost": "0.0019925",
        "unpriced_calls": 0,
    }
    async with superuser.connect() as connection:
        days = await connection.scalar(
            text(
                "SELECT count(*) FROM turns AS t JOIN usage_days AS d ON d.user_id = t.user_id"
                " AND d.day = (t.finished_at AT TIME ZONE 'UTC')::date WHERE t.user_id = :o"
            ),
            {"o": person.user_id},
        )
    assert days == 1


async def test_the_other_interface_of_a_vendor_tells_cached_input_too(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with vendor(steps.counting(steps.says("Hello."), 300, 1, cached=256)) as standing:
        options = configured(standing, openai_api="chat_completions", model_prices=PRICES)
        async with running_app(**options) as running:
            await person.say(running.client, "hello")
            found = await total(running, person)
    assert (found["input_tokens"], found["cached_input_tokens"]) == (300, 256)
    # 44 at 1.25, 256 at 0.125 and 1 at 10.
    assert found["cost"] == "0.000097"


class Counting(OfflineModel):
    """Streams and counts as it is told."""

    def __init__(self, usage: ResponseUsage | None) -> None:
        self.usage = usage

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async for event in super().stream_response(*args, **kwargs):
            if isinstance(event, ResponseCompletedEvent):
                event.response.usage = self.usage
            yield event


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"input_tokens": 50, "output_tokens": 4}, (50, 0, 4)),
        ({"input_tokens": 50, "output_tokens": 4, "input_tokens_details": None}, (50, 0, 4)),
        (counts(50, None, 4), (50, 0, 4)),
        (counts(50, 30, 4), (50, 30, 4)),
        (counts(50, 80, 4), (50, 50, 4)),
        (counts(-1, -1, 10**30), (0, 0, CALL_TOKENS_MAX)),
        ({"input_tokens": None, "output_tokens": None}, (0, 0, 0)),
        (None, (0, 0, 0)),
    ],
)
async def test_a_streamed_answer_is_counted_as_far_as_its_vendor_makes_sense(
    running_app: AppMaker, told: dict[str, Any] | None, expected: tuple[int, int, int]
) -> None:
    person = Person()
    # As the vendor's client builds what it was sent: nothing is checked.
    model = Counting(ResponseUsage.construct(**told) if told else None)
    async with running_app(chain=[NamedModel("scripted", model)]) as running:
        answer = await running.client.post(
            person.chat_path,
            json={"message": "hello"},
            headers=person.headers | {"Accept": "text/event-stream"},
        )
        assert "turn_completed" in answer.text
        found = await total(running, person)
    names = ("input_tokens", "cached_input_tokens", "output_tokens")
    assert tuple(found[name] for name in names) == expected


async def test_a_vendor_that_says_nothing_of_its_cache_has_cached_nothing(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with vendor(steps.counting(steps.says("Hello."), 10, 5, cached=None)) as standing:
        async with running_app(**configured(standing)) as running:
            assert (await person.say(running.client, "hello")).status_code == 200
            found = await total(running, person)
    assert (found["input_tokens"], found["cached_input_tokens"]) == (10, 0)


# --- what it costs ---


async def test_a_cost_is_fixed_when_it_is_recorded_and_unknown_ones_are_counted_apart(
    running_app: AppMaker,
) -> None:
    person = Person()

    async def say_hello(prices: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
        chain = [
            NamedModel(
                "scripted",
                ScriptedModel([ModelStep([assistant_message("Hello.")], tokens(100, 0, 1))]),
            )
        ]
        async with running_app(chain=chain, model_prices=prices) as running:
            said = (await person.say(running.client, "hello")).json()
            turn = await turn_of(running, person, said["turn_id"])
            return turn, await total(running, person)

    turn, found = await say_hello(None)
    assert (turn["cost"], turn["model_calls"][0]["cost"]) == (None, None)
    assert (found["cost"], found["unpriced_calls"]) == (None, 1)
    turn, found = await say_hello('{"scripted": {"input": 1, "output": 0}}')
    assert turn["cost"] == "0.0001"
    assert (found["cost"], found["unpriced_calls"], found["model_calls"]) == ("0.0001", 1, 2)
    turn, found = await say_hello('{"scripted": {"input": 2, "output": 100}}')
    assert turn["cost"] == "0.0003"
    assert (found["cost"], found["unpriced_calls"], found["model_calls"]) == ("0.0004", 1, 3)


async def test_a_turn_of_two_models_counts_for_the_one_that_wrote_its_reply(
    running_app: AppMaker,
) -> None:
    person = Person()
    first = ScriptedModel(
        [
            ModelStep([calls_tool("add_task", {"title": "A"})], tokens(10, 0, 2)),
            ModelStep.raise_error(ValueError("no")),
        ]
    )
    second = ScriptedModel([ModelStep([assistant_message("Added.")], tokens(20, 5, 3))])
    chain = [NamedModel("first", first), NamedModel("second", second)]
    async with running_app(chain=chain, model_prices=PRICES) as running:
        said = (await person.say(running.client, "A")).json()
        turn = await turn_of(running, person, said["turn_id"])
        body = await used(running, person)
    assert (said["model"], turn["model"]) == ("second", "second")
    assert [(one["model"], one["cost"]) for one in turn["model_calls"]] == [
        ("first", "0.000028"),
        ("second", None),
    ]
    assert turn["cost"] is None
    [day] = body["data"]
    assert [
        (one["model"], one["turns"], one["model_calls"], one["cost"]) for one in day["models"]
    ] == [("first", 0, 1, "0.000028"), ("second", 1, 1, None)]
    assert (day["cost"], day["unpriced_calls"]) == ("0.000028", 1)


# --- turns that do not end well ---


async def test_a_failed_turn_keeps_what_its_calls_used(running_app: AppMaker) -> None:
    person = Person()
    async with vendor(
        steps.calls("add_task", title="Milk", tokens=(11, 3)),
        steps.fails(500, should_retry=False),
    ) as standing:
        async with running_app(**configured(standing, model_prices=PRICES)) as running:
            failed = await person.say(running.client, "milk", key="k")
            assert failed.status_code == 502
            turn = await turn_of(running, person, failed.json()["turn_id"])
            found = await total(running, person)
    assert [one["input_tokens"] for one in turn["model_calls"]] == [11]
    assert turn["cost"] == found["cost"] == "0.00004375"
    assert (found["turns"], found["model_calls"], found["output_tokens"]) == (1, 1, 3)


async def test_a_turn_that_got_no_answer_at_all_counts_for_the_model_that_was_asked_last(
    running_app: AppMaker,
) -> None:
    person = Person()
    chain = [
        NamedModel(name, ScriptedModel([ModelStep.raise_error(ValueError("no"))]))
        for name in ("first", "second")
    ]
    async with running_app(chain=chain) as running:
        failed = (await person.say(running.client, "hello")).json()
        turn = await turn_of(running, person, failed["turn_id"])
        body = await used(running, person)
    assert (turn["model"], turn["model_calls"], turn["cost"]) == (None, [], "0")
    [day] = body["data"]
    assert day["models"] == [{"model": "second", **NOTHING, "turns": 1}]


@pytest.mark.parametrize("here", [True, False])
async def test_a_cancelled_turn_keeps_the_calls_that_are_on_record(
    running_app: AppMaker, here: bool
) -> None:
    person = Person()
    step = ModelStep([calls_tool("add_task", {"title": "Kept"})], tokens(100, 40, 5))
    _, dying, hanging = hangs_after(step)
    async with running_app(chain=dying, model_prices=PRICES) as one:
        async with running_app(model_prices=PRICES) as two:
            waiting = asyncio.create_task(person.say(one.client, "long work"))
            await asyncio.wait_for(hanging.wait(), 10)
            [(held, _)] = one.turns.jobs.held()
            assert (await turn_of(two, person, held.id))["cost"] is None
            path = f"/api/{person.user_id}/turns/{held.id}/cancel"
            cancelling = one if here else two
            for expected in (200, 409):
                answer = await cancelling.client.post(path, headers=person.headers)
                assert answer.status_code == expected
            assert (await waiting).status_code == 409
            turn = await turn_of(two, person, held.id)
            found = await total(two, person)
    assert turn["usage"] == {"model_calls": 1, "input_tokens": 100, "output_tokens": 5}
    assert turn["model_calls"][0]["cached_input_tokens"] == 40
    assert turn["cost"] == found["cost"] == "0.00022"
    assert (found["turns"], found["model_calls"], found["input_tokens"]) == (1, 1, 100)


async def test_a_turn_that_is_cancelled_before_any_answer_used_nothing(
    running_app: AppMaker,
) -> None:
    person = Person()
    _, dying, hanging = hangs_after()
    async with running_app(chain=dying) as running:
        waiting = asyncio.create_task(person.say(running.client, "long work"))
        await asyncio.wait_for(hanging.wait(), 10)
        [(held, _)] = running.turns.jobs.held()
        path = f"/api/{person.user_id}/turns/{held.id}"
        done = await running.client.post(f"{path}/cancel", headers=person.headers)
        await waiting
        assert (done.json()["model_calls"], done.json()["cost"]) == ([], "0")
        assert await used(running, person) == {"data": [], "total": NOTHING, "currency": "USD"}


# --- once ---


async def test_a_repeated_key_adds_nothing(running_app: AppMaker) -> None:
    person = Person()
    async with vendor(steps.says("Hello.")) as standing:
        async with running_app(**configured(standing)) as running:
            first = await person.say(running.client, "hello", key="k")
            before = await total(running, person)
            again = await person.say(running.client, "hello", key="k")
            assert again.content == first.content
            assert await total(running, person) == before
    assert (before["turns"], before["model_calls"], before["input_tokens"]) == (1, 1, 10)


async def test_after_a_takeover_every_call_on_record_counts_once_and_the_old_owner_adds_nothing(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person, go_on, asked = Person(), asyncio.Event(), asyncio.Event()

    async def wake_up_late(_call: AskedModel) -> ModelStep:
        asked.set()
        await go_on.wait()
        return ModelStep([assistant_message("By a zombie.")], tokens(7000, 0, 7000))

    frozen = ScriptedModel(
        [
            ModelStep([calls_tool("add_task", {"title": "One"})], tokens(100, 60, 5)),
            ModelStep.respond(wake_up_late),
        ]
    )
    finisher = ScriptedModel([ModelStep([assistant_message("Done.")], tokens(200, 0, 1))])
    async with (
        running_app(chain=[NamedModel("first", frozen)], model_prices=PRICES) as one,
        running_app(chain=[NamedModel("scripted", finisher)], model_prices=PRICES) as two,
    ):
        waiting = asyncio.create_task(person.say(one.client, "one", key="k"))
        await asyncio.wait_for(asked.wait(), 10)
        await expire(superuser, person, one)
        await sweep(two)
        async with asyncio.timeout(60):
            while len(two.turns.jobs):
                await asyncio.sleep(0.01)
        go_on.set()
        said = (await waiting).json()
        async with asyncio.timeout(60):
            while len(one.turns.jobs):
                await asyncio.sleep(0.01)
        turn = await turn_of(two, person, said["turn_id"])
        found = await total(two, person)
    assert said["response"] == "Done."
    assert said["usage"] == {"model_calls": 2, "input_tokens": 300, "output_tokens": 6}
    assert [
        (one["model"], one["input_tokens"], one["cached_input_tokens"], one["cost"])
        for one in turn["model_calls"]
    ] == [("first", 100, 60, "0.00022"), ("scripted", 200, 0, "0.000201")]
    assert turn["cost"] == found["cost"] == "0.000421"
    assert (found["turns"], found["model_calls"], found["input_tokens"]) == (1, 2, 300)


class OnceATurn(OfflineModel):
    """Answers the first call of a turn and fails at the second."""

    async def get_response(
        self, system_instructions: str | None, input: Any, *args: Any, **kwargs: Any
    ) -> ModelResponse:
        if len(input) > 1:
            raise ValueError("not again")
        answer = await super().get_response(system_instructions, input, *args, **kwargs)
        answer.usage = tokens(10, 5, 1)
        return answer


@contextlib.asynccontextmanager
async def held_up(
    superuser: AsyncEngine, person: Person, model: str
) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Hold a model's row of the day, so that turns come to their ends together.

    Yields what waits until so many of them wait.
    """
    async with superuser.connect() as holding, superuser.connect() as looking:
        await holding.execute(
            text("SELECT 1 FROM usage_days WHERE user_id = :o AND model = :model FOR UPDATE"),
            {"o": person.user_id, "model": model},
        )

        async def until(turns: int) -> None:
            waiting = text(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            async with asyncio.timeout(120):
                while (await looking.scalar(waiting) or 0) < turns:
                    await looking.rollback()
                    await asyncio.sleep(0.01)

        yield until
        await holding.rollback()


async def test_twenty_turns_at_once_add_up_and_none_waits_for_another_in_a_circle(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    # However slow the machine, nobody gives up waiting.
    patience = {"statement_timeout_s": 240, "pool_timeout_s": 240, "run_timeout_s": 600}
    options = {"model_prices": PRICES, "breaker_failures": 0, **patience}
    # Half of them have the reply of one model, half that of the other.
    one, other = (
        [NamedModel(begins, OnceATurn()), NamedModel(ends, OfflineModel())]
        for begins, ends in (("first", "scripted"), ("scripted", "first"))
    )
    async with (
        running_app(chain=one, **options) as here,
        running_app(chain=other, **options) as there,
    ):

        def say(app: RunningApp, turns: int) -> list[asyncio.Future[httpx.Response]]:
            return [
                asyncio.ensure_future(person.say(app.client, f"Add task: Number {number}"))
                for number in range(turns)
            ]

        answers = await asyncio.gather(*say(here, 1))
        async with held_up(superuser, person, "first") as until:
            saying = say(there, 10)
            await until(10)
            saying += say(here, 10)
            await until(15)
        answers += await asyncio.gather(*saying)
        body = await used(here, person)
    assert [answer.status_code for answer in answers] == [200] * 21
    [day] = body["data"]
    assert day["models"] == [
        {
            "model": "first",
            "turns": 10,
            "model_calls": 21,
            "input_tokens": 110,
            "cached_input_tokens": 55,
            "output_tokens": 11,
            "cost": "0.000264",
            "unpriced_calls": 0,
        },
        {
            "model": "scripted",
            "turns": 11,
            "model_calls": 21,
            "input_tokens": 100,
            "cached_input_tokens": 50,
            "output_tokens": 10,
            "cost": "0.00011",
            "unpriced_calls": 0,
        },
    ]


# --- beside turns ---


@pytest.mark.parametrize("countable", [True, False])
async def test_what_a_summary_used_counts_for_its_day_and_for_no_turn(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch, countable: bool
) -> None:
    person = Person()

    async def answer(asked: AskedModel) -> ModelStep:
        summing_up = str(asked.system_instructions).startswith("Sum up")
        return ModelStep(
            [assistant_message("Fine.")], tokens(*(7, 2, 1) if summing_up else (0,) * 3)
        )

    async def away(*_arguments: Any) -> None:
        raise DatabaseError(retry_after_s=1)

    if not countable:
        monkeypatch.setattr(attempt, "count_apart", away)
    model = ScriptedModel([ModelStep.respond(answer)] * 30)
    async with running_app(
        chain=[NamedModel("scripted", model)],
        model_prices=PRICES,
        history_summary=True,
        history_tokens_max=400,
    ) as running:
        await talk(running, person, 8)
        await errands(running)
        found = await total(running, person)
    made = len(summaries(model))
    assert made > 0
    counted = made if countable else 0
    assert (found["turns"], found["model_calls"]) == (8, 8 + counted)
    assert (found["input_tokens"], found["cached_input_tokens"]) == (7 * counted, 2 * counted)
    assert Decimal(found["cost"]) == Decimal("0.000008") * counted


# --- for good ---


async def test_what_was_used_outlives_its_conversation(
    offline_app: RunningApp, database: Database
) -> None:
    person = Person()
    await person.say(offline_app.client, "Add task: Buy groceries")
    before = await used(offline_app, person)
    async with database.transaction(person.principal) as connection:
        await connection.execute(text("DELETE FROM conversations"))
        assert await connection.scalar(text("SELECT count(*) FROM model_calls")) == 0
    assert await used(offline_app, person) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM usage_days",
        "UPDATE usage_days SET day = '2001-01-01'",
        "UPDATE usage_days SET model = 'another'",
        "DELETE FROM model_calls",
        "UPDATE model_calls SET cost = 0",
    ],
)
async def test_a_users_own_transactions_can_not_take_back_what_was_used(
    offline_app: RunningApp, database: Database, statement: str
) -> None:
    person = Person()
    await person.say(offline_app.client, "hello")
    with pytest.raises(Exception, match="permission denied"):
        async with database.transaction(person.principal) as connection:
            await connection.execute(text(statement))


async def test_tokens_are_counted_for_prometheus_by_model_and_direction(
    running_app: AppMaker,
) -> None:
    model = "a model of the metrics' own"
    chain: Sequence[NamedModel] = [
        NamedModel(
            model, ScriptedModel([ModelStep([assistant_message("Hello.")], tokens(100, 40, 5))])
        )
    ]
    async with running_app(chain=chain) as running:
        await Person().say(running.client, "hello")
        page = (await running.client.get("/metrics")).text
    assert "taskchat_model_tokens_total" in page
    assert {
        direction: REGISTRY.get_sample_value(
            "taskchat_model_tokens_total", {"model": model, "direction": direction}
        )
        for direction in ("input", "cached_input", "output")
    } == {"input": 100, "cached_input": 40, "output": 5}


async def test_a_model_that_is_asked_in_vain_uses_no_tokens(running_app: AppMaker) -> None:
    person = Person()
    failing = ScriptedModel([ModelStep.raise_error(ValueError("no"))])
    _, [standing_in] = scripted(says("Second."))
    async with running_app(chain=[NamedModel("first", failing), standing_in]) as running:
        await person.say(running.client, "hello")
        body = await used(running, person)
    assert [one["model"] for one in body["data"][0]["models"]] == ["scripted"]
