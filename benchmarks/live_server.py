"""`taskchat serve` with one process, and with the scripted model where TASKCHAT_MODEL says so."""

import functools
import gc
import os
import sys
import time
from unittest import mock

from prometheus_client import Counter, Gauge, Histogram

from benchmarks.scripted import ScriptedModel
from taskchat.app import create_app
from taskchat.assistant.models.asking import NamedModel
from taskchat.serving import server
from taskchat.serving.listening import listen
from taskchat.settings import Settings
from taskchat.telemetry.logs import configure_logs

SCRIPTED = "scripted"

COLLECTIONS = "BENCH_COLLECTIONS"
"""The variable that names the file of collections: a line each, beginning, seconds, generation."""

WITHOUT_METRICS = "BENCH_WITHOUT_METRICS"
"""The variable that takes away what metrics do."""


def take_away_metrics() -> None:
    """Leave the names of metrics, and nothing of what they do."""
    for kind in (Counter, Gauge, Histogram):
        for method in ("labels", "inc", "dec", "set", "observe", "set_function"):
            if hasattr(kind, method):
                setattr(kind, method, lambda self, *_args, **_labels: self)


def note_collections(path: str) -> None:
    """Write down what the garbage collector does, which stops everything meanwhile."""
    file = open(path, "w", buffering=1)  # noqa: SIM115 - as long as the process
    began = 0.0

    def note(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.monotonic()
        else:
            took = time.monotonic() - began
            file.write(f"{began} {took} {info['generation']} {info['collected']}\n")

    gc.callbacks.append(note)


def main() -> None:
    if COLLECTIONS in os.environ:
        note_collections(os.environ[COLLECTIONS])
    if WITHOUT_METRICS in os.environ:
        take_away_metrics()
    settings = Settings(_env_file=None)
    configure_logs(settings)
    chain = [NamedModel(SCRIPTED, ScriptedModel())] if settings.model == SCRIPTED else None
    with (
        mock.patch.object(server, "create_app", functools.partial(create_app, chain=chain)),
        listen("127.0.0.1", int(sys.argv[1])) as sock,
    ):
        server.run(settings, sock, announce=print)


if __name__ == "__main__":
    main()
