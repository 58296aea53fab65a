"""Prices: read strictly, reckoned exactly, and unknown where nobody has said one."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from taskchat.settings import OFFLINE, Settings
from taskchat.settings.prices import FREE, PRICE_MAX, Price, cost_of, parse_prices

LUNA = '{"gpt-5.6-luna": {"input": 1.25, "cached_input": 0.125, "output": 10}}'


def settings(prices: str | None) -> Settings:
    return Settings(_env_file=None, model_prices=prices)


def test_cached_input_has_its_own_price_and_nothing_is_rounded() -> None:
    price = parse_prices(LUNA)["gpt-5.6-luna"]
    cost = cost_of(price, input_tokens=1003, cached_input_tokens=1000, output_tokens=7)
    # 3 at 1.25, 1000 at 0.125 and 7 at 10, per million.
    assert cost == Decimal("0.00019875")


def test_without_a_price_of_its_own_cached_input_costs_what_input_costs() -> None:
    price = parse_prices('{"m": {"input": 2, "output": 0}}')["m"]
    assert price.cached_input == price.input
    assert cost_of(price, input_tokens=10, cached_input_tokens=10, output_tokens=5) == Decimal(
        "0.00002"
    )


def test_without_a_price_the_cost_is_unknown_and_not_nothing() -> None:
    assert cost_of(None, input_tokens=0, cached_input_tokens=0, output_tokens=0) is None


def test_prices_are_the_decimals_that_were_written() -> None:
    assert parse_prices('{"m": {"input": 0.1, "output": 1e-6}}') == {
        "m": Price(Decimal("0.1"), Decimal("0.1"), Decimal("0.000001"))
    }


_PRICES = st.decimals(0, PRICE_MAX, places=6)
_TOKENS = st.integers(0, 10_000_000)


@given(_PRICES, _PRICES, _PRICES, _TOKENS, _TOKENS, _TOKENS)
def test_a_cost_is_exact_whatever_the_price(
    fresh: Decimal, cached: Decimal, output: Decimal, read: int, from_cache: int, wrote: int
) -> None:
    cost = cost_of(
        Price(fresh, cached, output),
        input_tokens=read + from_cache,
        cached_input_tokens=from_cache,
        output_tokens=wrote,
    )
    assert cost is not None
    assert Fraction(cost) * 1_000_000 == (
        Fraction(fresh) * read + Fraction(cached) * from_cache + Fraction(output) * wrote
    )


def test_the_built_in_model_costs_nothing_unless_it_is_listed() -> None:
    assert settings(None).prices == {OFFLINE: FREE}
    assert settings("").prices == settings("{}").prices == {OFFLINE: FREE}
    assert settings(LUNA).prices.keys() == {OFFLINE, "gpt-5.6-luna"}
    listed = settings('{"offline": {"input": 1, "output": 1}}').prices
    assert listed[OFFLINE].input == 1


def test_a_negative_zero_is_a_zero() -> None:
    price = parse_prices('{"m": {"input": -0, "output": -0.0}}')["m"]
    assert str(price.input) == str(price.output) == "0.000000"


@pytest.mark.parametrize(
    ("given_", "problem"),
    [
        ("cheap", "must be a JSON object"),
        ("[]", "must be a JSON object"),
        ("1", "must be a JSON object"),
        ("{" * 100_000, "must be a JSON object"),
        ('{"m": {"input": 1, "output": 1}, "m": {"input": 2, "output": 2}}', "every key once"),
        ('{"m": {"input": 1, "input": 2, "output": 1}}', "every key once"),
        ('{"m": {"input": NaN, "output": 1}}', "must be a JSON object"),
        ('{"m": {"input": 1e99999999999999999999, "output": 1}}', "must be a JSON object"),
        ('{"": {"input": 1, "output": 1}}', "name each model"),
        ('{" m": {"input": 1, "output": 1}}', "name each model"),
        ('{"%s": {"input": 1, "output": 1}}' % ("m" * 256), "name each model"),
        ('{"m": 1}', "object with the prices of m"),
        ('{"m": {"input": 1, "outptu": 1}}', "unknown key 'outptu' under m"),
        ('{"m": {"input": 1}}', "must say 'output' under m"),
        ('{"m": {"output": 1}}', "must say 'input' under m"),
        ('{"m": {"input": -1, "output": 1}}', "'input' under m"),
        ('{"m": {"input": "1", "output": 1}}', "'input' under m"),
        ('{"m": {"input": true, "output": 1}}', "'input' under m"),
        ('{"m": {"input": null, "output": 1}}', "'input' under m"),
        ('{"m": {"input": 1, "output": 1, "cached_input": null}}', "'cached_input' under m"),
        ('{"m": {"input": 1, "output": 1000001}}', "'output' under m"),
        ('{"m": {"input": 1, "output": 1e999}}', "'output' under m"),
        ('{"m": {"input": 0.0000001, "output": 1}}', "at most 6 decimal places"),
    ],
)
def test_what_is_no_price_list_is_refused_with_a_reason(given_: str, problem: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(given_)
    [error] = refused.value.errors()
    assert error["loc"] == ("model_prices",)
    assert problem in error["msg"]
    assert len(error["msg"]) < 200
