"""Telling never breaks the work: whatever becomes of stderr, a line neither raises nor waits."""

import contextlib
import fcntl
import io
import json
import logging
import os
import select
import warnings
from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import REGISTRY

from taskchat.settings import Settings
from taskchat.telemetry import sink as sinks
from taskchat.telemetry.logs import configure_logs
from taskchat.telemetry.sink import LineSink


def dropped_so_far() -> float:
    return REGISTRY.get_sample_value("taskchat_log_lines_dropped_total") or 0.0


@contextlib.contextmanager
def logging_to(descriptor: int) -> Iterator[None]:
    """The service's logs go there."""
    with open(descriptor, "w", encoding="ascii", closefd=False) as stream:
        with contextlib.redirect_stderr(stream):
            configure_logs(Settings(_env_file=None, log_format="json"))
            yield
    configure_logs(Settings(_env_file=None, log_format="json"))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that holds one page."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield reader, writer
    for end in (reader, writer):
        with contextlib.suppress(OSError):
            os.close(end)


def read_all(reader: int) -> bytes:
    """What can be read at once."""
    heard = b""
    while select.select([reader], [], [], 0)[0] and (more := os.read(reader, 65536)):
        heard += more
    return heard


def test_a_reader_that_reads_nothing_holds_nobody_up_and_misses_no_line_of_a_burst(
    pipe: tuple[int, int],
) -> None:
    reader, writer = pipe
    with logging_to(writer):
        for number in range(200):
            structlog.get_logger().warning("said", number=number, padding="x" * 100)
        heard = b""
        while more := read_all(reader):
            heard += more
            structlog.get_logger().debug("not told")
            logging.getLogger().handlers[0].flush()
    numbers = [json.loads(line)["number"] for line in heard.splitlines()]
    assert numbers == list(range(200))


def test_what_is_too_much_to_wait_is_dropped_counted_and_told(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "LINES_MAX", 10)
    reader, writer = pipe
    before = dropped_so_far()
    with logging_to(writer):
        for number in range(500):
            structlog.get_logger().warning("said", number=number, padding="x" * 100)
        dropped = dropped_so_far() - before
        heard = read_all(reader)
        structlog.get_logger().warning("afterwards")
        while more := read_all(reader):
            heard += more
            logging.getLogger().handlers[0].flush()
    lines = [json.loads(line) for line in heard.splitlines()]
    assert 0 < dropped < 500
    assert sum(line["event"] == "said" for line in lines) == 500 - dropped
    assert [line["lines"] for line in lines if line["event"] == "logs.dropped"] == [dropped]
    assert [line["event"] for line in lines].count("afterwards") == 1


def test_a_reader_that_has_gone_is_no_error(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    with logging_to(writer):
        structlog.get_logger().error("nobody hears")
        logging.getLogger("somebody.else").error("nobody hears")
        try:
            raise ValueError
        except ValueError:
            structlog.get_logger().exception("nobody hears")


def test_a_full_disk_is_no_error() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with logging_to(full):
        structlog.get_logger().error("no room")
    os.close(full)


def test_a_descriptor_that_was_closed_is_no_error(pipe: tuple[int, int]) -> None:
    _, writer = pipe
    stream = open(writer, "w", encoding="ascii", closefd=False)  # noqa: SIM115
    sink = LineSink(stream, str)
    stream.close()
    os.close(writer)
    sink.write("nowhere\n")


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_a_stream_without_a_descriptor_will_do(stream: io.StringIO | None) -> None:
    if stream is not None:
        stream.close()
    LineSink(stream, str).write("nowhere\n")


def test_the_locale_costs_no_letter(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with logging_to(writer):
        logging.getLogger("somebody.else").warning("naïve \udcff")
        assert json.loads(read_all(reader))["event"] == "naïve \udcff"
    with open(writer, "w", encoding="ascii", closefd=False) as stream:
        LineSink(stream, str).write("naïve \udcff\n")
    assert read_all(reader) == "naïve \\udcff\n".encode()


def test_a_warning_is_a_line_of_the_log(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    with logging_to(writer), warnings.catch_warnings():
        warnings.simplefilter("always")
        # Within the test's own context of warnings, which is another than the process's.
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("look at this", stacklevel=1)
    assert "look at this" in json.loads(read_all(reader))["event"]
