"""Folders that are removed with their process; those of killed processes at the next start."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from taskchat.postgres.embedded.locks import FileLock

PREFIX: Final = "taskchat-ephemeral-"
OWNER: Final = "owner"
"""A file in the folder, on which its owner holds a lock."""


def made() -> Path:
    """As `ephemeral_data_dir`."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    # Registered before anything is started in it, so that it is removed after that has stopped.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    FileLock(folder / OWNER).take()
    return folder


def orphaned_data_dirs() -> list[tuple[Path, FileLock]]:
    """Folders of this user whose owners are gone, each with the lock that makes them ours."""
    found = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            if not (folder / OWNER).exists():
                # Its owner is about to take it.
                continue
            lock = FileLock(folder / OWNER)
        except OSError:
            continue
        if lock.take():
            found.append((folder, lock))
        else:
            lock.close()
    return found
