"""Text of others on a terminal: harmless, and broken between words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from taskchat.commands.chat.texts import cut, on_a_line, shown, summary, wrapped


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Grüße, 世界 👩‍👧 ✓\nnext", "Grüße, 世界 👩‍👧 ✓\nnext"),
        ("\x1b]0;owned\x07", "␛]0;owned␇"),
        ("\x1b[2J\x9b2J", "␛[2J�2J"),
        ("a\rb\x08\x7f\x00", "a␍b␈␡␀"),
        ("a\r\nb\tc", "a\nb   c"),
        ("ab \u202ecba\u2066 d\u200f", "ab �cba� d�"),
        ("a\u2028b\xa0c", "a b c"),
        ("\ud800", "�"),
    ],
)
def test_what_would_steer_the_terminal_becomes_a_sign(text: str, seen: str) -> None:
    assert shown(text) == seen


@given(st.text())
def test_nothing_that_is_shown_steers_a_terminal(text: str) -> None:
    seen = shown(text)
    seen.encode()
    assert all(sign.isprintable() or sign in "\n\u200c\u200d" for sign in seen)
    assert shown(seen) == seen


@given(st.text("ab 世\u0301", max_size=60), st.integers(2, 12))
def test_lines_are_full_and_lose_nothing_but_the_space_between_them(text: str, cells: int) -> None:
    full, rest = wrapped(text, cells)
    assert all(get_cwidth(line) <= cells for line in (*full, rest))
    assert "".join([*full, rest]).replace(" ", "") == text.replace(" ", "")


def test_words_stay_whole_where_they_fit() -> None:
    assert wrapped("one two three", 8) == (["one two"], "three")
    assert wrapped("one two", 3) == (["one"], "two")
    assert wrapped("abcdefgh ij", 5) == (["abcde", "fgh"], "ij")
    assert cut("世界", 3) == ("世", "界")


def test_a_call_is_told_on_one_line() -> None:
    told = summary({"title": "Milk\n\x1b[31m", "completed": True, "ids": [1, 2, 3]})
    assert told == "title=“Milk ␛[31m” completed=true ids=[3]"
    assert get_cwidth(on_a_line("word " * 100)) <= 50
