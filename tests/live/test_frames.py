"""Frames are read strictly, and what is wrong with one is said without its values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskchat.transports.socket.frames import (
    CLIENT_FRAME,
    SERVER_FRAME,
    ClientFrame,
    Ping,
    RefusedFrame,
    Resume,
    SayMessage,
    ServerFrame,
    read_frame,
)
from taskchat.transports.socket.session import FrameBucket, error_frame
from taskchat.turns.events import EventBase

ID = "0199f3a0-0000-7000-8000-000000000000"


def refusal(text: str) -> str:
    with pytest.raises(RefusedFrame) as refused:
        read_frame(text)
    assert "zebra" not in str(refused.value)
    return refused.value.code


def test_frames_are_told_apart_by_type() -> None:
    said = read_frame('{"type": "message", "content": "  hello ", "id": "a"}')
    assert isinstance(said, SayMessage)
    assert (said.content, said.id, said.idempotency_key) == ("hello", "a", None)
    resumed = read_frame(f'{{"type": "resume", "turn_id": "{ID}", "after_seq": 3}}')
    assert isinstance(resumed, Resume)
    assert (str(resumed.turn_id), resumed.after_seq) == (ID, 3)
    assert isinstance(read_frame('{"type": "ping"}'), Ping)


@pytest.mark.parametrize(
    "text",
    ["", "zebra{", "{'type': 'ping'}", '{"type": "ping"', "[" * 5000, '{"type": "ping"} zebra'],
)
def test_what_is_not_json_is_called_so(text: str) -> None:
    assert refusal(text) == "INVALID_JSON"


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        '"zebra"',
        "{}",
        '{"type": "zebra"}',
        '{"type": ["ping"]}',
        '{"type": "ping", "zebra": 1}',
        '{"type": "ping", "type": "ping"}',
        '{"type": "ping", "id": 7}',
        '{"type": "ping", "id": "' + "x" * 65 + '"}',
        '{"type": "message"}',
        '{"type": "message", "content": 5}',
        '{"type": "message", "content": "\\u200b"}',
        '{"type": "message", "content": "zebra\\u0000"}',
        '{"type": "message", "content": "zebra", "idempotency_key": ""}',
        '{"type": "message", "content": "zebra", "idempotency_key": "é"}',
        '{"type": "message", "content": "zebra", "user_id": "zebra"}',
        '{"type": "resume", "turn_id": "zebra", "after_seq": 0}',
        f'{{"type": "resume", "turn_id": "{ID}", "after_seq": -1}}',
        f'{{"type": "resume", "turn_id": "{ID}", "after_seq": "0"}}',
        f'{{"type": "resume", "turn_id": "{ID}"}}',
        '{"type": "cancel", "turn_id": "urn:uuid:' + ID + '"}',
        '{"type": "feedback_response", "feedback_id": "' + ID + '"}',
    ],
)
def test_what_is_no_frame_is_called_so(text: str) -> None:
    assert refusal(text) == "INVALID_MESSAGE"


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_anything_is_a_frame_or_refused(text: str) -> None:
    code = None
    try:
        read_frame(text)
    except RefusedFrame as refused:
        code = refused.code
    assert code in {None, "INVALID_JSON", "INVALID_MESSAGE"}


def test_an_error_frame_is_an_error_of_ours_or_a_code() -> None:
    frame = error_frame(code="MAX_CONNECTIONS", sentence="Close one.", reply_to="x")
    assert SERVER_FRAME.validate_json(frame.text()) == frame


def test_the_schemas_tell_every_frame_apart() -> None:
    for adapter, count in ((CLIENT_FRAME, 9), (SERVER_FRAME, 10)):
        assert len(adapter.json_schema()["discriminator"]["mapping"]) == count


def test_a_socket_may_send_so_many_frames_and_no_more_at_once() -> None:
    bucket = FrameBucket(3)
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    bucket._at -= 20
    assert [bucket.take() for _ in range(2)] == [True, False]
    unlimited = FrameBucket(0)
    assert all(unlimited.take() for _ in range(1000))


def test_no_frame_has_the_name_of_an_event_whose_place_in_the_contract_it_would_take() -> None:
    known = {kind.__name__ for kind in EventBase.__subclasses__()}
    frames = {*ClientFrame.__subclasses__(), *ServerFrame.__subclasses__()}
    assert not known & {kind.__name__ for kind in frames}
