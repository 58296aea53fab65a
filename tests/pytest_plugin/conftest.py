"""A service to test against, in this process: a run that starts none of its own takes a second."""

from collections.abc import AsyncIterator

import pytest
from tests.conftest import AppMaker, in_a_task_of_its_own
from tests.live.served import served


@pytest.fixture(scope="session")
async def url(running_app: AppMaker) -> AsyncIterator[str]:
    """The address of a service that takes scripts."""
    async with in_a_task_of_its_own(running_app(script_allowed=True)) as running:
        async with in_a_task_of_its_own(served(running)) as address:
            yield address
