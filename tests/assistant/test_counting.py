"""Tokens as the model counts them: learned from its answers, never more generous than the start."""

from taskchat.assistant.models.counting import LEAST_BYTES_PER_TOKEN, TokenCount
from taskchat.conversations.history import BYTES_PER_TOKEN


def test_a_model_that_says_nothing_is_estimated() -> None:
    count = TokenCount()
    count.note(4000, 0)
    assert count.bytes_per_token == BYTES_PER_TOKEN


def test_a_few_answers_teach_how_dense_its_tokens_are() -> None:
    count = TokenCount()
    for _ in range(30):
        count.note(4000, 2000)
    assert 2.0 <= count.bytes_per_token < 2.01


def test_a_model_that_counts_little_is_not_believed() -> None:
    count = TokenCount()
    for _ in range(30):
        count.note(40_000, 10)
    assert count.bytes_per_token == BYTES_PER_TOKEN


def test_a_model_that_counts_absurdly_much_leaves_some_history() -> None:
    count = TokenCount()
    for _ in range(100):
        count.note(10, 1_000_000)
    assert count.bytes_per_token >= LEAST_BYTES_PER_TOKEN
