"""Where `taskchat chat` goes, and what it keeps there: the conversation, and what was typed."""

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from taskchat.commands.local import DEV_DATA_DIR
from taskchat.commands.running import read_running, write_private
from taskchat.refusals import BadConfiguration, CannotStart

STATE_FILE: Final = "chat.json"
HISTORY_FILE: Final = "chat-history"

REMEMBERED_MAX: Final = 100
"""Services and users whose conversation is kept; more are forgotten, the oldest first."""


@dataclass(frozen=True, slots=True)
class ChatPlace:
    """A service, and where what belongs to it is kept.

    Attributes:
        url: Where the service is.
        token: Who talks.
        folder: Where this command keeps its things.
    """

    url: str
    token: str = field(repr=False)
    folder: Path

    def conversation(self, user_id: str) -> str | None:
        """The conversation in which this user talked last; None if there was none."""
        found = self._remembered().get(self._key(user_id))
        return found if isinstance(found, str) else None

    def remember(self, user_id: str, conversation_id: str | None) -> None:
        """Keep the conversation for the next time."""
        kept = self._remembered()
        kept.pop(self._key(user_id), None)
        if conversation_id is not None:
            kept[self._key(user_id)] = conversation_id
        newest = dict(list(kept.items())[-REMEMBERED_MAX:])
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.folder / f"{STATE_FILE}.{os.getpid()}"
            write_private(partial, json.dumps(newest))
            partial.replace(self.folder / STATE_FILE)

    def history(self) -> Path | None:
        """The file of what was typed, which only this user can read; None if there can be none."""
        path = self.folder / HISTORY_FILE
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            path.chmod(0o600)
        except OSError:
            return None
        return path

    def _key(self, user_id: str) -> str:
        return f"{self.url} {user_id}"

    def _remembered(self) -> dict[str, object]:
        try:
            kept = json.loads((self.folder / STATE_FILE).read_bytes())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}


def find_place(url: str | None, token: str | None, data_dir: Path | None) -> ChatPlace:
    """The service that is named, or the `taskchat dev` that runs from the data folder.

    Raises:
        BadConfiguration: it is named without a token.
        CannotStart: none is named, and none runs.
    """
    if url is not None:
        if token is None:
            raise BadConfiguration(
                "--url needs a token: give --token or set TASKCHAT_TOKEN; where the secret is, "
                "taskchat token prints one"
            )
        return ChatPlace(url.rstrip("/"), token, data_dir or Path(click.get_app_dir("taskchat")))
    folder = data_dir or DEV_DATA_DIR
    running = read_running(folder)
    if running is None:
        raise CannotStart(
            f"no taskchat dev runs from {folder.absolute()}: start one there, name its --data-dir, "
            "or give --url and --token (TASKCHAT_URL and TASKCHAT_TOKEN)"
        )
    if token is None and running.token is None:
        raise BadConfiguration(
            "tokens of this taskchat dev come from its identity provider: give --token"
        )
    return ChatPlace(running.url, token or running.token or "", folder)
