"""What only a socket can do: bytes that are no HTTP, requests without an end, and silence.

Real servers in processes of their own; one has its limits on time set low, so that they can be
waited for.
"""

import contextlib
import os
import random
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.answers import MARK, Answer, error_of
from tests.conftest import JWT_SECRET
from tests.e2e.processes import Forked
from tests.factories import Person
from tests.fuzz.wires import requests_of, send_requests

PATIENCE_S = 60
"""The longest that anything here is waited for; a loaded machine is slow, not dead."""

TIMEOUT_S = 0.3
"""Of the impatient server, for headers and for bodies."""

UNKNOWN = "0199f3a0-0000-7000-8000-00000000dead"


class Wire:
    """One connection, at the level of bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def answer(self, *, to_head: bool = False) -> Answer:
        """The next answer on the connection."""
        while b"\r\n\r\n" not in self._rest:
            self._receive()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = dict(field.split(": ", 1) for field in fields)
        status = int(line.split()[1])
        length = 0 if to_head or status < 200 else int(headers["content-length"])
        while len(self._rest) < length:
            self._receive()
        content, self._rest = self._rest[:length], self._rest[length:]
        return Answer(status, headers, content)

    def ended(self) -> bool:
        """Wait for the server to end the connection; False: it said something more instead."""
        try:
            return self._rest == b"" and self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def pour(self, piece: bytes, *, bytes_max: int) -> int:
        """Send a piece over and over until something comes back; how many bytes were sent."""
        sent = 0
        while sent < bytes_max and not self.readable(0):
            try:
                sent += self.socket.send(piece)
            except ConnectionError:
                break
        return sent

    def drip(self, data: bytes, *, pause_s: float) -> int:
        """Send byte by byte until something comes back; how many bytes were sent."""
        for sent, byte in enumerate(data):
            if self.readable(pause_s):
                return sent
            with contextlib.suppress(ConnectionError):
                self.socket.send(bytes([byte]))
        return len(data)

    def readable(self, seconds: float) -> bool:
        return bool(select.select([self.socket], [], [], seconds)[0])

    def _receive(self) -> None:
        received = self.socket.recv(65_536)
        assert received, f"the connection ended after {self._rest!r}"
        self._rest += received


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(
    database_url: str, folder: Path, *arguments: str, **settings: str
) -> Iterator[tuple[int, int]]:
    """A server of its own, until the block ends: its port and its process id."""
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "TASKCHAT_JWT_SECRET": JWT_SECRET,
        "TASKCHAT_MODEL": "offline",
        "TASKCHAT_LOG_FORMAT": "json",
        **settings,
    }
    with (folder / "log").open("wb") as log:
        server = Forked(
            [*arguments, "--port", str(port)],
            folder,
            environment,
            stdout=log.fileno(),
            stderr=log.fileno(),
        )
        try:
            deadline = time.monotonic() + PATIENCE_S
            while True:
                try:
                    Wire(port).socket.close()
                    break
                except ConnectionError:
                    assert server.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    select.select([], [], [], 0.05)
            yield port, server.pid
        finally:
            server.end(PATIENCE_S)
    assert b"Traceback" not in (folder / "log").read_bytes()
    assert b"crashed" not in (folder / "log").read_bytes()


@pytest.fixture(scope="module")
def server(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, int]]:
    with started(database_url, tmp_path_factory.mktemp("server"), "serve") as running:
        yield running


@pytest.fixture(scope="module")
def impatient_server(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, int]]:
    with started(
        database_url,
        tmp_path_factory.mktemp("impatient"),
        "serve",
        TASKCHAT_HEADER_TIMEOUT_S=str(TIMEOUT_S),
        TASKCHAT_BODY_TIMEOUT_S=str(TIMEOUT_S),
    ) as running:
        yield running


@pytest.fixture
def short(impatient_server: tuple[int, int]) -> Iterator[Wire]:
    with Wire(impatient_server[0]) as wire:
        yield wire


@pytest.fixture
def wire(server: tuple[int, int]) -> Iterator[Wire]:
    with Wire(server[0]) as wire:
        yield wire


@pytest.fixture(scope="module")
def person() -> Person:
    return Person()


def post(person: Person, body: bytes, *extra: bytes, path: str | None = None) -> bytes:
    """A chat request; without its length where the extra headers say something about it."""
    lines = [
        f"POST {path or person.chat_path} HTTP/1.1".encode(),
        b"Host: test",
        f"Authorization: {person.headers['Authorization']}".encode(),
        b"Content-Type: application/json",
        *extra,
    ]
    if not any(name in line for line in extra for name in (b"Length", b"Transfer")):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def get(path: str, *extra: bytes) -> bytes:
    return b"\r\n".join([f"GET {path} HTTP/1.1".encode(), b"Host: test", *extra]) + b"\r\n\r\n"


HELLO = b'{"message": "hello"}'
LIVEZ = get("/livez")


def still_serves(server: tuple[int, int]) -> bool:
    with Wire(server[0]) as wire:
        wire.send(LIVEZ)
        return wire.answer().status == 200


# --- connections that behave ---


def test_a_connection_serves_one_request_after_another(wire: Wire, person: Person) -> None:
    for _ in range(3):
        wire.send(post(person, HELLO))
        assert wire.answer().status == 200
        wire.send(LIVEZ)
        assert wire.answer().status == 200


def test_pipelined_requests_are_answered_in_their_order(wire: Wire, person: Person) -> None:
    wire.send(post(person, HELLO), LIVEZ, get("/nowhere"), post(person, HELLO), LIVEZ)
    assert [wire.answer().status for _ in range(5)] == [200, 200, 404, 200, 200]
    wire.send(LIVEZ)
    assert wire.answer().status == 200


def test_pipelined_requests_may_be_cut_anywhere(wire: Wire, person: Person) -> None:
    requests = post(person, HELLO) + LIVEZ + post(person, HELLO) + LIVEZ
    for start in range(0, len(requests), 97):
        wire.send(requests[start : start + 97])
    assert [wire.answer().status for _ in range(4)] == [200, 200, 200, 200]


def test_200_pipelined_requests_are_not_taken_for_one_with_long_headers(wire: Wire) -> None:
    request = get("/livez", b"X-Padding: " + b"x" * 500)
    wire.send(request * 200, b"GET /li")
    assert {wire.answer().status for _ in range(200)} == {200}
    wire.send(b"vez HTTP/1.1\r\nHost: test\r\n\r\n")
    assert wire.answer().status == 200


def test_a_body_that_nobody_read_does_not_stop_the_connection(wire: Wire) -> None:
    body = b"x" * 300_000
    wire.send(b"POST /api/u/chat HTTP/1.1\r\nHost: test\r\nContent-Length: 300000\r\n\r\n", body)
    error_of(wire.answer(), 401)
    wire.send(LIVEZ)
    assert wire.answer().status == 200


def test_head_is_answered_without_a_body(wire: Wire) -> None:
    wire.send(b"HEAD /livez HTTP/1.1\r\nHost: test\r\n\r\n", LIVEZ)
    asked, got = wire.answer(to_head=True), wire.answer()
    assert asked.status == got.status == 200
    assert asked.headers["content-length"] == got.headers["content-length"] != "0"


def test_who_expects_to_be_told_to_go_on_is_told(wire: Wire, person: Person) -> None:
    head, _, body = post(person, HELLO, b"Expect: 100-continue").partition(b"\r\n\r\n")
    wire.send(head, b"\r\n\r\n")
    assert wire.answer().status == 100
    wire.send(body)
    assert wire.answer().status == 200


def test_who_expects_to_be_told_to_go_on_with_too_much_is_told_not_to(
    wire: Wire, person: Person
) -> None:
    head, _, _ = post(person, b"x" * 70_000, b"Expect: 100-continue").partition(b"\r\n\r\n")
    wire.send(head, b"\r\n\r\n")
    error_of(wire.answer(), 413)


# --- what is no HTTP/1.1, or more than that ---


@pytest.mark.parametrize(
    "raw",
    [
        f"{MARK}\r\n\r\n".encode(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"CONNECT /livez HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /livez HTTX/1.1\r\n\r\n",
        b"FOO /livez HTTP/1.1\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /a\x00b HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: test\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost : test\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n: test\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nX\x00: test\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nX: a\x00b\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nX: a\rb\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nContent-Length: 1x\r\n\r\nx",
        b"POST /livez HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /livez HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_400_and_the_connection_ends(
    server: tuple[int, int], wire: Wire, raw: bytes
) -> None:
    wire.send(raw)
    answer = wire.answer()
    assert error_of(answer, 400)["error_code"] == "invalid_request"
    assert answer.headers["connection"] == "close"
    assert wire.ended()
    assert still_serves(server)


@pytest.mark.parametrize(
    "lengths",
    [
        [b"Content-Length: 20", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 20"],
        [b"Transfer-Encoding: gzip, chunked", b"Content-Length: 0"],
    ],
)
def test_a_length_beside_a_transfer_encoding_gets_400_and_what_follows_is_no_request(
    wire: Wire, person: Person, lengths: list[bytes]
) -> None:
    wire.send(post(person, b"0\r\n\r\n", *lengths), get(f"/{MARK}"))
    answer = wire.answer()
    assert error_of(answer, 400)["error_code"] == "invalid_request"
    assert answer.headers["connection"] == "close"
    assert wire.ended()


def test_a_broken_chunk_gets_400(wire: Wire, person: Person) -> None:
    wire.send(post(person, b"zz\r\n", b"Transfer-Encoding: chunked"))
    error_of(wire.answer(), 400)
    assert wire.ended()


def test_garbage_behind_a_request_does_not_take_its_answer(wire: Wire, person: Person) -> None:
    wire.send(post(person, HELLO), LIVEZ, b"\x00\xff garbage\r\n\r\n")
    assert [wire.answer().status for _ in range(2)] == [200, 200]
    assert wire.ended()


@pytest.mark.parametrize(
    "upgrade",
    [
        [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"],
        [b"Connection: upgrade", b"Upgrade: TLS/1.3"],
        [b"Connection: upgrade", b"Upgrade: \xff\xfe"],
        [b"Connection: upgrade", b"Upgrade: "],
        [b"Connection: upgrade"],
        [b"Upgrade: websocket"],
        [b"Upgrade: h2c"],
    ],
)
def test_an_upgrade_that_is_not_known_is_ignored(
    wire: Wire, person: Person, upgrade: list[bytes]
) -> None:
    wire.send(post(person, HELLO, *upgrade))
    assert wire.answer().status == 200


def test_behind_an_ignored_upgrade_the_connection_goes_on(wire: Wire, person: Person) -> None:
    upgrade = (b"Connection: upgrade", b"Upgrade: h2c")
    wire.send(get("/livez", *upgrade), post(person, HELLO, *upgrade), LIVEZ)
    assert [wire.answer().status for _ in range(3)] == [200, 200, 200]
    requests = post(person, HELLO, *upgrade) + post(person, HELLO, *upgrade) + LIVEZ
    for start in range(0, len(requests), 97):
        wire.send(requests[start : start + 97])
    assert [wire.answer().status for _ in range(3)] == [200, 200, 200]


def test_a_thousand_ignored_upgrades_at_once_are_no_crash(wire: Wire) -> None:
    wire.send(get("/livez", b"Connection: upgrade", b"Upgrade: h2c") * 1000)
    assert {wire.answer().status for _ in range(1000)} == {200}


def test_an_ignored_upgrade_does_not_hide_a_length_beside_a_transfer_encoding(
    wire: Wire, person: Person
) -> None:
    both = (b"Content-Length: 20", b"Transfer-Encoding: chunked")
    wire.send(post(person, b"0\r\n\r\n", b"Connection: upgrade", b"Upgrade: h2c", *both), LIVEZ)
    error_of(wire.answer(), 400)
    assert wire.ended()


@pytest.mark.parametrize(
    "extra",
    [
        [],
        [b"Sec-WebSocket-Version: 13"],
        [b"Sec-WebSocket-Version: 99", b"Sec-WebSocket-Key: x"],
    ],
)
def test_half_a_websocket_where_there_is_none_is_refused(
    server: tuple[int, int], wire: Wire, extra: list[bytes]
) -> None:
    wire.send(get("/nowhere", b"Connection: Upgrade", b"Upgrade: websocket", *extra))
    assert 400 <= int(wire.socket.recv(4096).split()[1]) < 500
    assert still_serves(server)


def test_a_websocket_with_too_many_headers_gets_431(wire: Wire) -> None:
    extra = [b"Connection: Upgrade", b"Upgrade: websocket", *[b"X: 1"] * 100]
    wire.send(get("/nowhere", *extra))
    error_of(wire.answer(), 431)
    assert wire.ended()


# --- addresses as they are on the wire ---


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/api/%00/chat", {404}),
        ("/api/%ff/chat", {404}),
        ("/api/%ED%A0%80/chat", {404}),
        ("/api/%E2%80%AE/chat", {403}),
        ("/api/ME/tasks/%00", {404, 405}),
        ("/api/ME/..%2fchat", {404}),
        ("/api/ME%2fchat", {404}),
        ("/api/ME/../ME/chat", {404}),
        ("/api/./ME/chat", {404}),
        ("/api//ME/chat", {404}),
        ("//api/ME/chat", {404}),
        ("/api/ME//chat", {404}),
        ("/api/ME/chat/", {404}),
        ("/api/ME/chat%0a", {404}),
        ("/api/ME/chat%0d%0aX-Evil:%201", {404}),
        ("*", {400, 404}),
        ("/%", {404}),
        ("/?%ff=%00&&&===", {405}),
    ],
)
def test_a_hostile_address_gets_403_or_404_over_the_wire_too(
    wire: Wire, person: Person, path: str, statuses: set[int]
) -> None:
    wire.send(post(person, HELLO, path=path.replace("ME", person.user_id)))
    answer = wire.answer()
    assert answer.status in statuses
    error_of(answer, answer.status)
    assert "location" not in answer.headers
    assert "x-evil" not in answer.headers


def test_an_absolute_address_is_one_too(wire: Wire) -> None:
    wire.send(b"GET http://elsewhere.example/livez HTTP/1.1\r\nHost: test\r\n\r\n")
    assert wire.answer().status == 200


# --- too much ---


def test_a_body_without_end_gets_413_and_the_end_of_the_connection(
    server: tuple[int, int], wire: Wire, person: Person
) -> None:
    wire.send(post(person, b"", b"Transfer-Encoding: chunked"))
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    assert wire.pour(chunk, bytes_max=100_000_000) < 20_000_000
    error_of(wire.answer(), 413)
    assert wire.pour(chunk, bytes_max=100_000_000) < 20_000_000
    assert wire.ended()
    assert still_serves(server)


def test_a_body_of_padding_gets_413(wire: Wire, person: Person) -> None:
    wire.send(post(person, b"", b"Transfer-Encoding: chunked"))
    chunk = b"1;" + b"x" * 16_000 + b"\r\n \r\n"
    assert wire.pour(chunk, bytes_max=100_000_000) < 20_000_000
    error_of(wire.answer(), 413)
    assert wire.ended()


def test_trailers_without_end_get_413(server: tuple[int, int], wire: Wire, person: Person) -> None:
    wire.send(post(person, b"0\r\nX-Trailer: ", b"Transfer-Encoding: chunked"))
    before = resident(server)
    assert wire.pour(b"x" * 16_384, bytes_max=100_000_000) < 20_000_000
    error_of(wire.answer(), 413)
    assert wire.ended()
    assert resident(server) - before < 20_000_000


def resident(server: tuple[int, int]) -> int:
    return int(psutil.Process(server[1]).memory_info().rss)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: test\r\nX-Long: ", b"x" * 16_384),
        (b"GET /livez HTTP/1.1\r\nHost: test\r\n", b"X: x\r\n" * 2000),
        (b"GET /livez HTTP/1.1\r\nHost: test\r\n", b"X" * 16_384),
        (LIVEZ + b"GET /livez HTTP/1.1\r\nX-Long: ", b"x" * 16_384),
    ],
    ids=["one long value", "many small ones", "one long name", "behind another request"],
)
def test_20_mb_of_headers_get_431_and_are_not_kept(
    server: tuple[int, int], wire: Wire, begin: bytes, piece: bytes
) -> None:
    assert still_serves(server)
    before = resident(server)
    wire.send(begin)
    if begin.startswith(LIVEZ):
        assert wire.answer().status == 200
    sent = wire.pour(piece, bytes_max=20_000_000)
    assert sent < 20_000_000
    answer = wire.answer()
    assert error_of(answer, 431, "xxxx")["error_code"] == "headers_too_large"
    assert answer.headers["connection"] == "close"
    wire.pour(piece, bytes_max=20_000_000)
    assert wire.ended()
    assert resident(server) - before < 10_000_000
    assert still_serves(server)


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "unfinished"])
@pytest.mark.parametrize(
    "headers",
    [[b"X-%d: 1" % number for number in range(102)], [b"X-Long: " + b"x" * 17_000]],
    ids=["103 headers", "17,000 bytes"],
)
def test_headers_over_a_limit_get_431_at_once(
    wire: Wire, headers: list[bytes], finished: bool
) -> None:
    request = get("/livez", *headers)
    wire.send(request if finished else request[:-2])
    answer = wire.answer()
    assert error_of(answer, 431, "xxxx")["error_code"] == "headers_too_large"
    assert answer.headers["connection"] == "close"
    assert wire.ended()


def test_100_headers_and_16_kib_of_them_are_taken(wire: Wire) -> None:
    wire.send(get("/livez", *[b"X-%02d: %s" % (number, b"x" * 155) for number in range(99)]))
    assert wire.answer().status == 200


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "unfinished"])
def test_an_address_over_the_limit_gets_400_at_once(wire: Wire, finished: bool) -> None:
    request = get(f"/livez?{MARK}={'x' * 17_000}")
    wire.send(request if finished else request[:17_010])
    assert error_of(wire.answer(), 400, "xxxx")["error_code"] == "invalid_request"


def test_an_address_without_end_gets_400_and_the_end_of_the_connection(wire: Wire) -> None:
    wire.send(b"GET /livez?")
    assert wire.pour(b"x" * 16_384, bytes_max=20_000_000) < 20_000_000
    error_of(wire.answer(), 400, "xxxx")
    assert wire.ended()


# --- too slow ---


@pytest.mark.parametrize(
    "begin",
    [
        b"G",
        b"GET /livez",
        b"GET /livez HTTP/1.1\r\n",
        b"GET /livez HTTP/1.1\r\nHost: test\r\nX-Long: x",
        b"\r\n\r\nGET ",
    ],
)
def test_headers_that_do_not_arrive_in_time_get_408(short: Wire, begin: bytes) -> None:
    begun = time.monotonic()
    short.send(begin)
    answer = short.answer()
    assert time.monotonic() - begun >= TIMEOUT_S * 0.9
    assert error_of(answer, 408)["error_code"] == "request_timeout"
    assert answer.headers["connection"] == "close"
    assert short.ended()


@pytest.mark.parametrize("noise", [b"", b"\r\n"], ids=["silence", "empty lines"])
def test_a_connection_that_never_asks_is_ended(short: Wire, noise: bytes) -> None:
    short.send(noise)
    assert short.ended()


def test_headers_that_come_in_drops_have_the_same_time(short: Wire) -> None:
    begun = time.monotonic()
    assert short.drip(LIVEZ[:-2] + b"X: " + b"x" * 10_000, pause_s=0.05) < 10_000
    error_of(short.answer(), 408)
    assert time.monotonic() - begun < PATIENCE_S


def test_empty_lines_that_come_in_drops_keep_no_connection(short: Wire) -> None:
    short.drip(b"\r\n" * 5000, pause_s=0.05)
    assert short.ended()


def test_a_second_request_has_the_same_time(short: Wire) -> None:
    short.send(LIVEZ, LIVEZ[:20])
    assert short.answer().status == 200
    error_of(short.answer(), 408)
    assert short.ended()


@pytest.mark.parametrize("framing", [b"Content-Length: 50", b"Transfer-Encoding: chunked"])
def test_a_body_that_does_not_arrive_in_time_gets_408(
    short: Wire, person: Person, framing: bytes
) -> None:
    short.send(post(person, b"5\r\n     " if b"chunked" in framing else b"{", framing))
    answer = short.answer()
    assert error_of(answer, 408)["error_code"] == "request_timeout"
    assert answer.headers["connection"] == "close"
    assert short.ended()


def test_a_body_that_comes_in_drops_has_the_same_time(short: Wire, person: Person) -> None:
    short.send(post(person, b"", b"Content-Length: 10000"))
    assert short.drip(b" " * 10_000, pause_s=0.05) < 10_000
    error_of(short.answer(), 408)
    assert short.ended()


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(
    server: tuple[int, int], person: Person
) -> None:
    connections = psutil.Process(server[1]).net_connections
    for piece in (b"", b"GE", LIVEZ[:-1], post(person, HELLO)[:-1], post(person, HELLO)):
        with Wire(server[0]) as wire:
            wire.send(piece)
    assert still_serves(server)
    deadline = time.monotonic() + PATIENCE_S
    while any(
        c.status == psutil.CONN_ESTABLISHED and c.laddr.port == server[0]
        for c in connections("tcp")
    ):
        assert time.monotonic() < deadline
        select.select([], [], [], 0.05)


def test_mutated_requests_get_no_5xx_and_stop_nobody(
    impatient_server: tuple[int, int], person: Person
) -> None:
    dice = random.Random(7)
    seeds = requests_of(person)
    counted: Counter[str] = Counter()
    for _ in range(5):
        statuses, broke = send_requests(impatient_server[0], seeds, dice, wires=60)
        assert broke == []
        counted += statuses
    assert {"200", "400"} < set(counted)
    assert still_serves(impatient_server)


# --- however it is started ---


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--workers", "2"),
        ("dev", "--reload", "--data-dir", "data"),
    ],
    ids=["workers", "reload"],
)
def test_the_limits_hold_however_the_server_is_started(
    database_url: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    with started(database_url, tmp_path, *arguments) as running, Wire(running[0]) as wire:
        assert still_serves(running)
        wire.send(b"GET /livez HTTP/1.1\r\nX-Long: ")
        wire.pour(b"x" * 16_384, bytes_max=20_000_000)
        error_of(wire.answer(), 431)
        assert wire.ended()
