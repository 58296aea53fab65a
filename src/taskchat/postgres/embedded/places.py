"""Short-lived folders of this user's own, whose paths are the same to whoever reads them."""

import re
import tempfile
from pathlib import Path
from typing import Final

from taskchat.refusals import CannotStart

PATH_BYTES_MAX: Final = 103
"""What a socket's path may have on every system that has sockets."""

LONGEST_NAME: Final = ".s.PGSQL.5432"

_PLAIN: Final = re.compile(r"[A-Za-z0-9/._-]+")
"""Read alike by shells, by Postgres' lists of folders, which have commas, and in addresses."""


class EmbeddedPostgresError(CannotStart):
    """It can't be had; the message says why, and what to do."""


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
