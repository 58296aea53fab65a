"""History: newest whole turns in a budget, oldest first, nothing unpaired."""

import hypothesis.strategies as st
from hypothesis import given

from taskchat.conversations.history import (
    UNANSWERED,
    InputItem,
    model_input,
    tokens_of,
    turn_items,
)
from taskchat.conversations.past import PastTurn


def past(number: int, *, calls: int = 0, reply: str | None = "ok", said: str = "hi") -> PastTurn:
    return PastTurn(
        number=number,
        said=f"{said} {number}",
        calls=[
            {
                "call_id": f"call_{number}_{index}",
                "tool_name": "add_task",
                "parameters": {"title": "x"},
                "result": {"task_id": index} if index % 2 == 0 else {"error": "No."},
                "status": "completed" if index % 2 == 0 else "failed",
            }
            for index in range(calls)
        ],
        reply=reply,
    )


def unpaired(items: list[InputItem]) -> set[str]:
    calls = [item["call_id"] for item in items if item.get("type") == "function_call"]
    outputs = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    assert len(calls) == len(set(calls))
    return set(calls) ^ set(outputs)


def test_turns_come_oldest_first_with_their_pairs() -> None:
    items = model_input([past(2, calls=2), past(1)], tokens_max=10_000)
    assert [item.get("role") or item["type"] for item in items] == [
        "user",
        "assistant",
        "user",
        "function_call",
        "function_call_output",
        "function_call",
        "function_call_output",
        "assistant",
    ]
    assert items[0]["content"] == "hi 1"
    assert items[4]["output"] == '{"task_id": 0}'
    assert items[6]["output"] == "No."


def test_an_unanswered_turn_leaves_its_pairs_and_a_note() -> None:
    items = turn_items(past(1, calls=1, reply=None))
    assert items[-1] == {"role": "assistant", "content": UNANSWERED}
    assert unpaired(items) == set()


def test_the_oldest_turns_are_dropped_first_and_whole() -> None:
    turns = [past(number, calls=3) for number in range(20, 0, -1)]
    one = tokens_of(turn_items(turns[0]))
    items = model_input(turns, tokens_max=one * 3)
    said = [item["content"] for item in items if item.get("role") == "user"]
    assert said == ["hi 18", "hi 19", "hi 20"]


def test_no_budget_means_no_history() -> None:
    assert model_input([past(1)], tokens_max=0) == []


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.text(max_size=200)), max_size=30),
    st.integers(0, 3000),
)
def test_a_history_is_valid_whatever_the_turns_and_the_budget(
    shapes: list[tuple[int, bool, str]], tokens_max: int
) -> None:
    turns = [
        past(len(shapes) - index, calls=calls, reply="ok" if answered else None, said=said)
        for index, (calls, answered, said) in enumerate(shapes)
    ]
    items = model_input(turns, tokens_max=tokens_max)
    assert unpaired(items) == set()
    assert tokens_of(items) <= tokens_max
    numbers = [
        int(item["content"].rsplit(" ", 1)[1]) for item in items if item.get("role") == "user"
    ]
    assert numbers == list(range(len(turns) - len(numbers) + 1, len(turns) + 1))


def test_a_model_with_denser_tokens_gets_less_of_the_same_budget() -> None:
    turns = [past(number, said="word " * 40) for number in range(50, 0, -1)]
    usual = model_input(turns, tokens_max=1000)
    dense = model_input(turns, tokens_max=1000, bytes_per_token=2.0)
    assert 0 < len(dense) < len(usual)
    assert dense == usual[-len(dense) :]
    assert tokens_of(dense, bytes_per_token=2.0) <= 1000
