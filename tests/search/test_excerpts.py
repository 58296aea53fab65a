"""What is shown of a text that was found."""

from hypothesis import given
from hypothesis import strategies as st

from taskchat.search.excerpts import CUT, EXCERPT_CHARS_MAX, excerpt_of

TEXTS = st.text(
    alphabet=st.one_of(st.sampled_from("ab <&\"'é\n\u0301牛"), st.characters(codec="utf-8"))
)


def shown(said: str, *words: str) -> list[tuple[str, bool]]:
    return [(part.text, part.match) for part in excerpt_of(said, words)]


def test_a_short_text_is_shown_whole_with_its_words_marked() -> None:
    assert shown("Buy milk, MILK and Crème-brûlée", "milk", "creme") == [
        ("Buy ", False),
        ("milk", True),
        (", ", False),
        ("MILK", True),
        (" and ", False),
        ("Crème", True),
        ("-brûlée", False),
    ]


def test_a_word_is_marked_with_its_accents_however_they_are_written() -> None:
    assert shown("nai\u0308ve", "naive") == [("nai\u0308ve", True)]
    assert shown("买牛奶", "牛") == [("买", False), ("牛", True), ("奶", False)]


def test_line_ends_become_spaces() -> None:
    assert shown("Buy\n\n  milk\t") == [("Buy milk", False)]


def test_a_text_that_lacks_the_words_is_shown_from_its_beginning() -> None:
    parts = shown("word " * 100)
    assert parts[0][0].startswith("word word")
    assert parts[-1] == (CUT, False)


def test_a_long_text_is_shown_where_most_of_the_words_are() -> None:
    said = "milk " + "filler " * 100 + "then milk and eggs " + "filler " * 100
    parts = shown(said, "milk", "eggs")
    assert [text for text, match in parts if match] == ["milk", "eggs"]
    assert parts[0] == parts[-1] == (CUT, False)


def test_a_word_without_an_end_is_cut() -> None:
    [(text, _), cut] = shown("a" * 1000)
    assert (len(text), cut) == (EXCERPT_CHARS_MAX, (CUT, False))


@given(TEXTS, st.sets(TEXTS))
def test_joined_the_parts_are_a_piece_of_the_text_whatever_it_is(
    said: str, words: set[str]
) -> None:
    parts = excerpt_of(said * 5, {"a", "b", *words})
    joined = "".join(part.text for part in parts)
    whole = " ".join((said * 5).split())
    assert joined.removeprefix(CUT).removesuffix(CUT) in whole
    assert len(joined) <= EXCERPT_CHARS_MAX + 2
    assert all(part.text for part in parts)
