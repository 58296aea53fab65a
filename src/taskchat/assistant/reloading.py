"""Follows the agent's configuration while the service runs: an edit takes effect once saved."""

import asyncio
from typing import Final

import structlog

from taskchat.assistant.instructions import AgentConfigError, config_path, load_agent_config
from taskchat.assistant.run import Assistant
from taskchat.settings import Settings

log = structlog.get_logger()

LOOK_S: Final = 2.0
"""Wait between looks at the file; whoever saves it and tries it out should not have to wait."""


class ConfigFile:
    """The file, and when it was last seen to change.

    Args:
        settings: Name the file.
        assistant: Uses the configuration.
    """

    def __init__(self, settings: Settings, assistant: Assistant) -> None:
        self._settings = settings
        self._assistant = assistant
        self._path = config_path(settings)
        self._seen = self._stamp()

    async def follow(self) -> None:
        """Apply what has changed. A mistake in the file changes nothing, and is logged."""
        stamp = await asyncio.to_thread(self._stamp)
        if stamp is None or stamp == self._seen:
            return
        self._seen = stamp
        try:
            config = await asyncio.to_thread(load_agent_config, self._settings)
        except AgentConfigError as error:
            log.error("agent_config.refused", reason=str(error))
            return
        self._assistant.configure(config)
        log.info("agent_config.reloaded")

    def _stamp(self) -> tuple[int, int, int] | None:
        """None while there is no file: an editor may be about to put one there."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
