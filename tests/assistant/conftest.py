"""Each of the four ways in which a turn can be asked for."""

import pytest
from tests.assistant.talk import WAYS, Way


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    """One of the vendor's APIs, asked for by a client that reads a stream or does not."""
    way: Way = request.param
    return way
