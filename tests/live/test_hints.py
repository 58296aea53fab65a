"""Hints of a socket, good or not: they never keep it out."""

import json

import pytest
from tests.conftest import AppMaker
from tests.factories import Person, says, scripted
from tests.live.served import served, silent, socket


@pytest.mark.parametrize(
    ("address", "headers", "zone"),
    [
        ("new?time_zone=Etc/Unknown", [], "UTC"),
        ("new?time_zone=%FF&time_zone=Asia/Tokyo", [], "Asia/Tokyo"),
        ("new?time_zone=" + "a" * 5000, [], "UTC"),
        ("new", [b"Time-Zone: +02:00", b"Time-Zone: Asia/Tokyo"], "Asia/Tokyo"),
        ("new", ["Time-Zone: Zürich".encode(), b"Accept-Language: \xff;q=NaN"], "UTC"),
    ],
)
async def test_a_socket_with_odd_hints_is_let_in_and_answered(
    running_app: AppMaker, address: str, headers: list[bytes], zone: str
) -> None:
    model, chain = scripted(says("Hello."))
    async with (
        running_app(chain=chain) as running,
        served(running) as url,
        silent(url, Person(), address, headers) as one,
    ):
        assert b'"connection"' in await one.until(0x1)
        one.say(0x1, json.dumps({"type": "message", "content": "hello"}).encode())
        while b'"turn_completed"' not in await one.until(0x1):
            pass
    assert f"({zone})" in str(model.calls[0].system_instructions)


async def test_an_order_that_is_not_taken_still_keeps_a_socket_out(running_app: AppMaker) -> None:
    async with (
        running_app() as running,
        served(running) as url,
        socket(url, Person(), "new?offline=delay%3Dabc") as one,
    ):
        assert (await one.next())["type"] == "error"
        assert (await one.closed())[0] == 1008
