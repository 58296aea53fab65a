"""Sockets of one process: in order, bounded, apart; and nobody waits for a slow one."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message

from taskchat.moments import new_id
from taskchat.transports.socket.connections import Connection, Connections
from taskchat.transports.socket.frames import Pong, SessionEnded


class Wire:
    """A peer that reads when it is let, or is gone."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.gone: type[Exception] | None = None

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        if self.gone is not None:
            raise self.gone
        self.got.append(message)

    @property
    def texts(self) -> list[Any]:
        return [message.get("text") for message in self.got if message["type"] == "websocket.send"]

    @property
    def code(self) -> int | None:
        codes: list[int] = [one["code"] for one in self.got if one["type"] == "websocket.close"]
        return codes[-1] if codes else None


@pytest.fixture
def wire() -> Wire:
    return Wire()


async def test_frames_go_out_in_order_and_the_close_behind_them(wire: Wire) -> None:
    connection = Connection(wire.send, queue_max=10)
    connection.send_text("1")
    connection.send(Pong(reply_to="p"))
    connection.close(4008, "idle")
    connection.close(1012, "the first reason counts")
    connection.send_text("too late")
    await connection.finished()
    assert wire.texts == ["1", '{"type":"pong","reply_to":"p"}']
    assert wire.got[-1] == {"type": "websocket.close", "code": 4008, "reason": "idle"}
    assert connection.gone.is_set()


async def test_what_answers_no_frame_does_not_say_so(wire: Wire) -> None:
    connection = Connection(wire.send, queue_max=10)
    connection.send(Pong())
    await connection.finished()
    assert wire.texts == ['{"type":"pong"}']


async def test_a_reader_that_lets_too_much_pile_up_is_closed_and_nobody_waits(wire: Wire) -> None:
    connection = Connection(wire.send, queue_max=10)
    wire.reads.clear()
    for number in range(100):
        connection.send_text(str(number))
        await asyncio.sleep(0)
    wire.reads.set()
    await connection.finished()
    assert wire.code == 1013
    assert len(wire.texts) < 12


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_a_peer_that_is_gone_is_no_error(wire: Wire, error: type[Exception]) -> None:
    connection = Connection(wire.send, queue_max=10)
    wire.gone = error
    connection.send_text("1")
    await connection.finished()
    assert connection.gone.is_set()
    connection.send_text("2")
    connection.close(1012, "too late")
    await connection.finished()
    assert wire.got == []


async def test_who_has_much_to_send_waits_for_room(wire: Wire) -> None:
    connection = Connection(wire.send, queue_max=10)
    wire.reads.clear()
    for number in range(8):
        connection.send_text(str(number))
    waiting = asyncio.create_task(connection.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    wire.reads.set()
    await asyncio.wait_for(waiting, 60)
    await connection.finished()
    assert len(wire.texts) == 8


async def test_nobody_waits_for_room_at_a_peer_that_is_gone(wire: Wire) -> None:
    connection = Connection(wire.send, queue_max=10)
    wire.reads.clear()
    for number in range(8):
        connection.send_text(str(number))
    waiting = asyncio.create_task(connection.room())
    await asyncio.sleep(0)
    connection.lost()
    await asyncio.wait_for(waiting, 60)
    wire.reads.set()
    await connection.finished()


async def test_an_ended_session_is_told_to_its_own_sockets_but_the_one_that_knows() -> None:
    connections, conversation = Connections(), new_id()
    wires = [Wire() for _ in range(3)]
    knows, told, other = (Connection(wire.send, queue_max=10) for wire in wires)
    knows.conversation_id = told.conversation_id = conversation
    other.conversation_id = new_id()
    knows.greeted = told.greeted = other.greeted = True
    with connections.holding(knows), connections.holding(told), connections.holding(other):
        assert len(connections) == 3
        assert set(connections.of(conversation)) == {knows, told}
        connections.session_ended(conversation, but=knows)
        await told.finished()
        assert [len(wire.got) for wire in wires] == [0, 1, 0]
        assert wires[1].texts == [SessionEnded(conversation_id=conversation).text()]
    assert len(connections) == 0
    connections.session_ended(conversation)
    assert len(wires[0].got) == 0


async def test_a_shutdown_is_told_once_and_closes_all_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from taskchat.transports.socket import connections as module

    monkeypatch.setattr(module, "CLOSE_WAIT_S", 0.05)
    connections = Connections()
    reading, stuck = Wire(), Wire()
    stuck.reads.clear()
    one, two = (Connection(wire.send, queue_max=10) for wire in (reading, stuck))
    three = Connection(Wire().send, queue_max=10)
    one.greeted = two.greeted = True
    with connections.holding(one), connections.holding(two), connections.holding(three):
        connections.announce_shutdown()
        connections.announce_shutdown()
        await asyncio.wait_for(connections.close_all(), 60)
    assert [text.count("shutdown") for text in reading.texts] == [1]
    assert reading.code == 1012
    assert connections.stopping
    stuck.reads.set()
    await two.finished()
