"""What is said to a running turn, as its models read it."""

from typing import Any

import pytest
from agents import ModelResponse
from agents.testing import ModelCall, ModelStep, ScriptedModel
from tests.assistant.test_models import Record, run
from tests.factories import says

from taskchat.assistant.models.offline import OfflineModel
from taskchat.errors import DatabaseError
from taskchat.turns.ledger import TurnLost


class Failing(OfflineModel):
    """Fails, and keeps what it was asked."""

    def __init__(self) -> None:
        self.inputs: list[Any] = []

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        self.inputs.append(args[1])
        raise ConnectionError

    stream_response = None  # type: ignore[assignment]


def texts(items: Any) -> list[str]:
    return [str(item["content"]) for item in items]


async def test_the_next_model_of_the_chain_reads_what_the_failed_one_was_told() -> None:
    record, first, given = Record(), Failing(), []
    record.streams = False
    # Read before the first attempt, and before the second.
    record.steering = [["and eggs"], ["and bread"]]

    async def answer(call: ModelCall) -> Any:
        given.append(texts(call.input))
        return says("done")

    assert await run(record, first, ScriptedModel([ModelStep.respond(answer)] * 5)) == "done"
    assert texts(first.inputs[0]) == ["hello", "and eggs"]
    # Whatever was read last stands last; nothing stands twice.
    assert given == [["hello", "and eggs", "and bread"]]


@pytest.mark.parametrize("error", [DatabaseError(), TurnLost()])
@pytest.mark.parametrize("failures_before", [0, 1])
async def test_what_could_not_be_read_is_no_failure_of_a_model(
    error: Exception, failures_before: int
) -> None:
    class Broken(Record):
        @property
        def has_unread(self) -> bool:
            return len(self.asked) == failures_before

        async def steered(self) -> list[str]:
            raise error

    record = Broken()
    record.streams = False
    with pytest.raises(type(error)) as raised:
        await run(record, Failing(), Failing())
    assert raised.value is error
