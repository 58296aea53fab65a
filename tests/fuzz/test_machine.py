"""What a client does by the API, in an order that nobody thought of."""

import asyncio

import pytest
from hypothesis.stateful import run_state_machine_as_test
from tests.conftest import AppMaker
from tests.fuzz.machine import machine, plan


@pytest.mark.long
async def test_whatever_a_client_does_the_api_shows_what_was_done_and_to_nobody_else(
    running_app: AppMaker,
) -> None:
    async with running_app(script_allowed=True) as running:
        tried = machine(running.client, asyncio.get_running_loop())
        # The machine's own thread waits for this loop.
        await asyncio.to_thread(
            run_state_machine_as_test, tried, settings=plan(6, 12, derandomize=True)
        )
    assert tried.asked > 100
