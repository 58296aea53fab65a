"""Folders for real processes: not in pytest's own, which only this user may enter.

As root the embedded Postgres runs as another one.
"""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Under nohup all that is started here would ignore it, too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder to work in."""
    with tempfile.TemporaryDirectory(prefix="taskchat-e2e-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def temp() -> Iterator[Path]:
    """A folder for temporary files alone; its path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
