"""What a model call costs: the operator's prices, reckoned in decimals and never in floats."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias

from taskchat.texts import unique_names

MILLION: Final = 6
"""Prices are per million tokens, as vendors print them: shift the point this many places left."""

PLACES: Final = Decimal("0.000001")
"""The finest price. Between it and PRICE_MAX no cost needs more than Decimal's 28 digits."""

PRICE_MAX: Final = 1_000_000
"""A dollar per token; anything dearer is a mistake."""

NAME_CHARS_MAX: Final = 255
"""The width of the column that holds the name."""

EXAMPLE: Final = '{"gpt-5.6-luna": {"input": 1.25, "cached_input": 0.125, "output": 10}}'


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost, in US dollars per million.

    Attributes:
        input: For what it reads.
        cached_input: For what it reads that its vendor had cached.
        output: For what it writes.
    """

    input: Decimal
    cached_input: Decimal
    output: Decimal


Prices: TypeAlias = Mapping[str, Price]
"""Prices by the model's name in the chain."""

FREE: Final = Price(Decimal(0), Decimal(0), Decimal(0))


def cost_of(
    price: Price | None, *, input_tokens: int, cached_input_tokens: int, output_tokens: int
) -> Decimal | None:
    """The cost of one model call in US dollars, exact; None if no price is known.

    Args:
        price: The model's price.
        input_tokens: All tokens that it read.
        cached_input_tokens: How many of them its vendor had cached.
        output_tokens: The tokens that it wrote.
    """
    if price is None:
        return None
    millionths = (
        price.input * (input_tokens - cached_input_tokens)
        + price.cached_input * cached_input_tokens
        + price.output * output_tokens
    )
    return millionths.scaleb(-MILLION)


def parse_prices(text: str) -> dict[str, Price]:
    """The prices in a setting.

    Raises:
        ValueError: says what is wrong, in a sentence that continues from the setting's name.
    """
    try:
        # Numbers exactly as written: a float would already have changed them.
        given = json.loads(
            text,
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=unique_names,
        )
    except (ValueError, ArithmeticError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ValueError(f"must be a JSON object with every key once, such as {EXAMPLE}")
    return {name: _price(name, entry) for name, entry in given.items()}


def _price(name: str, entry: object) -> Price:
    if not name or name != name.strip() or len(name) > NAME_CHARS_MAX:
        raise ValueError(
            f"must name each model by 1 to {NAME_CHARS_MAX} characters without spaces around them"
        )
    if not isinstance(entry, dict):
        raise ValueError(f"must have an object with the prices of {name}, such as {EXAMPLE}")
    unknown = entry.keys() - {"input", "cached_input", "output"}
    if unknown:
        raise ValueError(
            f"has the unknown key {min(unknown)!r} under {name}; known are input, cached_input and "
            "output"
        )
    for key in ("input", "output"):
        if key not in entry:
            raise ValueError(f"must say {key!r} under {name}, in US dollars per million tokens")
    prices = {key: _dollars(name, key, value) for key, value in entry.items()}
    return Price(**{"cached_input": prices["input"], **prices})


def _dollars(name: str, key: str, value: object) -> Decimal:
    # abs, because JSON has a negative zero.
    if isinstance(value, Decimal) and 0 <= value <= PRICE_MAX:
        price = abs(value.quantize(PLACES))
        if price == value:
            return price
    raise ValueError(
        f"must have a number from 0 to {PRICE_MAX:,} with at most {MILLION} decimal places as "
        f"{key!r} under {name}"
    )


def _refuse_constant(name: str) -> Decimal:
    raise ValueError(name)
