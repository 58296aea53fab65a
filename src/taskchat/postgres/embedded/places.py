"""Short-lived folders of this user, whose paths every program reads the same way."""

import re
import tempfile
from pathlib import Path
from typing import Final

from taskchat.refusals import CannotStart

PATH_BYTES_MAX: Final = 103
"""The longest path of a socket that every system with sockets accepts."""

LONGEST_NAME: Final = ".s.PGSQL.5432"

_PLAIN: Final = re.compile(r"[A-Za-z0-9/._-]+")
"""Read alike by shells, by Postgres' comma-separated lists of folders, and in addresses."""


class EmbeddedPostgresError(CannotStart):
    """Embedded Postgres is not available; the message says why, and what to do."""


def plain_folder(prefix: str) -> Path:
    """A new folder that nobody else may enter, with a plain path, short enough for a socket in it.

    Raises:
        EmbeddedPostgresError: there is no place for one.
    """
    for place in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108
        try:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        except OSError:
            continue
        if _PLAIN.fullmatch(str(folder)) and len(str(folder / LONGEST_NAME)) <= PATH_BYTES_MAX:
            return folder
        folder.rmdir()
    raise EmbeddedPostgresError(
        "there is no folder for the socket of the embedded Postgres; set TMPDIR to one that this "
        "user may write to, with a short path of letters and digits"
    )
