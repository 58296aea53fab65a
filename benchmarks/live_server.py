"""`taskchat serve` with one process, and with the scripted model where TASKCHAT_MODEL says so."""

import functools
import sys
from unittest import mock

from benchmarks.scripted import ScriptedModel
from taskchat.app import create_app
from taskchat.assistant.models.asking import NamedModel
from taskchat.serving import server
from taskchat.serving.listening import listen
from taskchat.settings import Settings
from taskchat.telemetry.logs import configure_logs

SCRIPTED = "scripted"


def main() -> None:
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
