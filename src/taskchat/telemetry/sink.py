"""Where log lines go. Writing one never raises and never blocks: logging must not break the work.

What can't be written now is queued until it can: the reader is slow or gone, or the disk is full.
What the queue has no room for is dropped and counted.
"""

import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Final, TextIO

from taskchat.telemetry import metrics

LINES_MAX: Final = 1000
"""Lines that may wait; as many as a burst of a busy process while its reader looks away."""

CHUNK_BYTES: Final = 4096
"""This much never blocks if a pipe reports room (PIPE_BUF on every system we know)."""


class LineSink:
    """A stream for log lines, as `print` and the standard library's handlers want one.

    Args:
        stream: The stream to write to; by its descriptor, if it has one.
        dropped_line: Makes the line that says how many were dropped, once writing works again.
    """

    def __init__(self, stream: TextIO | None, dropped_line: Callable[[int], str]) -> None:
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._dropped_line = dropped_line
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Write a line, or let it wait for the next one."""
        if self._descriptor is None:
            if self._stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._stream.write(text)
            return
        with self._lock:
            self._flush()
            if len(self._waiting) < LINES_MAX:
                # Whatever the locale is: a letter that it lacks must not cost the line.
                self._waiting.append(text.encode("utf-8", "backslashreplace"))
                self._flush()
            else:
                self._dropped += 1
                metrics.LOG_LINES_DROPPED.inc()

    def flush(self) -> None:
        """Write the waiting lines, as far as they are accepted."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        while self._waiting and self._descriptor is not None:
            line = self._waiting.popleft()
            written = _write_some(self._descriptor, line)
            if written < len(line):
                self._waiting.appendleft(line[written:])
            if written == 0:
                return
            if self._dropped and not self._waiting:
                self._waiting.append(self._dropped_line(self._dropped).encode())
                self._dropped = 0


def _write_some(descriptor: int, line: bytes) -> int:
    """Write what is accepted at once; returns how many bytes that was."""
    if hasattr(select, "poll"):
        asked = select.poll()
        asked.register(descriptor, select.POLLOUT)
        # An error counts as room: writing then tells which error.
        if not asked.poll(0):
            return 0
    try:
        return os.write(descriptor, line[:CHUNK_BYTES])
    except OSError:
        return 0


def _descriptor_of(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None


def hold_standard_streams() -> None:
    """Put something at the descriptors of the standard streams that were closed at start.

    Otherwise the next file or socket would get such a number, and writes to stderr would end in it.
    """
    while True:
        opened = os.open(os.devnull, os.O_RDWR)
        if opened > 2:
            os.close(opened)
            return
