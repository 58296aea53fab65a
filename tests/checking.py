"""`make check` beside the tests: what it says is told in one block, and its failure is theirs.

A plugin of the process that hands tests out: `pytest -p tests.checking`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from typing import IO, Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """The processes that tests are handed to need none of it."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Checking())


class _Checking:
    def __init__(self) -> None:
        self._said: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._make = subprocess.Popen(
            ["make", "--no-print-directory", "check"],
            stdout=self._said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Pytest rewrites assertions and keeps what it wrote: once, not in each process of it."""
        subprocess.run(
            [sys.executable, "-m", "pytest", "--collect-only", "-qq", *session.config.args],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Where it found something that is an error like those of tests, before the last line."""
        if session.exitstatus == pytest.ExitCode.INTERRUPTED:
            return
        failed = self._make.wait() != 0
        self._said.seek(0)
        said = self._said.read()
        reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
        if not failed:
            reporter.write_sep("=", "make check")
            reporter.write(said)
            return
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        report = pytest.TestReport(
            "make check", ("Makefile", None, "make check"), {}, "failed", said, "setup"
        )
        reporter.stats.setdefault("error", []).append(report)

    def pytest_unconfigure(self) -> None:
        """Who is interrupted waits for nothing."""
        with contextlib.suppress(ProcessLookupError):
            if self._make.poll() is None:
                os.killpg(self._make.pid, signal.SIGTERM)
        self._make.wait()
        self._said.close()
