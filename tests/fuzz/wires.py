"""Bytes on sockets of a real server: requests and frames with something wrong in them.

Each connection is answered, or ended once its time is over; who behaves is served meanwhile.
"""

import contextlib
import random
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from tests.e2e.sockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PATIENCE_S,
    PING,
    PONG,
    TEXT,
    RawSocket,
    Server,
    framed,
)
from tests.factories import Person
from tests.fuzz.mutating import mutated

SOCKETS_MAX: Final = 5
"""Of one user, by default."""

HELLO: Final = b'{"message": "hello"}'

LIVEZ: Final = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"


def requests_of(person: Person) -> Sequence[bytes]:
    """Requests that a server has to take apart, all of them good."""

    def written(line: str, *headers: str, body: bytes = b"") -> bytes:
        own = ("Host: test", f"Authorization: {person.headers['Authorization']}")
        return "\r\n".join([f"{line} HTTP/1.1", *own, *headers, "", ""]).encode() + body

    chat, json = f"POST {person.chat_path}", "Content-Type: application/json"
    long = f"Content-Length: {len(HELLO)}"
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HELLO), HELLO)
    tasks = f"GET /api/{person.user_id}/tasks?limit=5"
    return [
        written(chat, json, long, body=HELLO),
        written(chat, json, "Transfer-Encoding: chunked", body=chunk),
        written(chat, json, long, "Expect: 100-continue", body=HELLO),
        written(chat, json, long, "Accept: text/event-stream", body=HELLO),
        written(tasks, "Connection: upgrade", "Upgrade: h2c"),
        written(tasks) + written(chat, json, long, body=HELLO) + LIVEZ,
        written("GET /nowhere", "Connection: Upgrade", "Upgrade: websocket"),
        written(
            "GET /ws/chat/new",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "X-Forwarded-For: [::1",
        ),
        LIVEZ * 3,
    ]


UNKNOWN: Final = "0199f3a0-0000-7000-8000-00000000dead"

MESSAGE: Final = framed(TEXT, b'{"type":"message","content":"hello","idempotency_key":"k"}')

FRAMES: Final = (
    MESSAGE,
    framed(TEXT, b'{"type":"ping","id":"a"}') * 3,
    framed(TEXT, f'{{"type":"resume","turn_id":"{UNKNOWN}","after_seq":0}}'.encode()),
    framed(TEXT, f'{{"type":"cancel","turn_id":"{UNKNOWN}"}}'.encode()) + MESSAGE,
    framed(TEXT, b'{"type":"get_rate_limit_status"}') * 2,
    framed(TEXT, b'{"type":"start_session"}') + MESSAGE,
    framed(TEXT, b'{"type":"end_session"}') + MESSAGE,
    framed(TEXT, b'{"type":', fin=False) + framed(PING, b"x") + framed(CONTINUATION, b'"ping"}'),
    framed(PING, b"x" * 125) + framed(PONG) + framed(CLOSE, b"\x03\xe8bye"),
    framed(BINARY, b"x" * 300),
)
"""Frames of a client, all of them good but the last."""


def send_requests(
    port: int, seeds: Sequence[bytes], dice: random.Random, *, wires: int
) -> tuple[Counter[str], list[bytes]]:
    """Send a changed request on each of some connections, and wait for what comes back.

    Returns:
        How many were answered with each status, `ended` without one; and what got a 5xx.
    """
    counted: Counter[str] = Counter()
    broke: list[bytes] = []
    with contextlib.ExitStack() as stack:
        sent: dict[socket.socket, bytes] = {}
        for _ in range(wires):
            wire = stack.enter_context(
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            )
            sent[wire] = mutated(dice.choice(seeds), dice)
            with contextlib.suppress(ConnectionError):
                wire.sendall(sent[wire])
        waiting = set(sent)
        deadline = time.monotonic() + PATIENCE_S
        while waiting:
            assert time.monotonic() < deadline, [sent[wire] for wire in waiting]
            for wire in select.select(list(waiting), [], [], 1)[0]:
                begin: list[bytes] = []
                with contextlib.suppress(ConnectionError):
                    begin = wire.recv(65_536).split(b" ", 2)
                status = begin[1].decode("latin-1") if len(begin) > 1 else "ended"
                counted[status] += 1
                if status.startswith("5") and status != "503":
                    broke.append(sent[wire])
                waiting.discard(wire)
    return counted, broke


@contextlib.contextmanager
def sockets_with_frames(
    server: Server, dice: random.Random, *, people: int
) -> Iterator[list[RawSocket]]:
    """Sockets, as many as these people may have, on each of which changed frames were sent."""
    with contextlib.ExitStack() as stack:
        raws = [
            stack.enter_context(RawSocket(server, name))
            for name in [Person().user_id for _ in range(people)]
            for _ in range(SOCKETS_MAX)
        ]
        for raw in raws:
            with contextlib.suppress(ConnectionError):
                raw.send(mutated(dice.choice(FRAMES), dice))
        yield raws


def end_sockets(raws: Sequence[RawSocket]) -> Counter[str]:
    """End sockets: half of them without a word, half so that what is still said is heard.

    Returns:
        How they ended, by the code of the server's close.
    """
    counted: Counter[str] = Counter()
    for raw in raws[::2]:
        raw.abort()
        counted["left"] += 1
    for raw in raws[1::2]:
        # Once nothing more comes from here, nothing more comes from there.
        with contextlib.suppress(OSError):
            raw.socket.shutdown(socket.SHUT_WR)
        code = "no code"
        for opcode, payload in raw.rest():
            if opcode == CLOSE:
                code = str(int.from_bytes(payload[:2], "big"))
        counted[code] += 1
    return counted
