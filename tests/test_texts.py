"""What text is taken, and which spelling of an id is one."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskchat.texts import is_storable, is_visible, scrubbed, uuid_of


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "я",
        "牛",
        "🦓",
        "👩\u200d👧",
        "\u202eabc",
        "e\u0301",
        "\u200b.",
        "١",
        "🏴\U000e0067\U000e007f",
        "☐",
        "¬",
    ],
)
def test_what_a_person_can_see_is_visible(value: str) -> None:
    assert is_visible(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "\t\r\n",
        "\u00a0\u2003\u3000\u205f\u1680",
        "\u200b\u200c\u200d\u2060\ufeff",
        "\u202a\u202e\u2066\u2069\u200e\u061c",
        "\ufe0f\ufe00\U000e0100",
        "\u115f\u1160\u3164\uffa0\u2800",
        "\u00ad\u034f\u180e\u17b4",
        "\U000e0001\U000e0020\U000e007f",
        "\U0001d159\U0001d173",
        "\u2065\ufff0\U000e0fff",
        "\x00\x1b\x7f\x85",
        "\u0301",
    ],
)
def test_what_nobody_can_see_is_not(value: str) -> None:
    assert not is_visible(value)


def test_postgres_keeps_everything_but_nul_and_unpaired_surrogates() -> None:
    assert is_storable("a\x01\x7f\u202e\ufdd0\uffff\U0010ffff")
    assert not is_storable("a\x00")
    assert not is_storable("a\ud800")
    assert not is_storable("\udfff")


@given(st.text(st.characters(codec=None)))
def test_scrubbed_text_can_be_stored_and_is_as_long(value: str) -> None:
    clean = scrubbed(value)
    assert is_storable(clean)
    assert len(clean) == len(value)
    assert not is_storable(value) or clean == value


@given(st.uuids())
def test_an_id_is_the_same_in_capitals(value: UUID) -> None:
    assert uuid_of(str(value)) == uuid_of(str(value).upper()) == value


@given(st.uuids(), st.sampled_from(["{%s}", "urn:uuid:%s", " %s", "%s ", "%s\n", "%s0", "-%s"]))
def test_an_id_in_wrappings_is_none(value: UUID, wrapping: str) -> None:
    assert uuid_of(wrapping % value) is None
    assert uuid_of(value.hex) is None


@pytest.mark.parametrize("value", ["", "-" * 36, "0" * 36, "٠" * 36, "new"])
def test_what_only_looks_like_an_id_is_none(value: str) -> None:
    assert uuid_of(value) is None
