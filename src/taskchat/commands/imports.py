"""Importing while something else is waited for."""

import contextlib
import importlib
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def imported_meanwhile(*modules: str) -> Iterator[None]:
    """Import modules in a thread of their own, during the block; it ends when both are done.

    The block may import nothing that those modules import: two threads in one circle of imports
    can see half of a module. It stays in the main thread, where signals arrive.

    Args:
        modules: Whoever needs one imports it once more, and meets the error of one that can't be.
    """

    def import_them() -> None:
        with contextlib.suppress(Exception):
            for module in modules:
                importlib.import_module(module)

    thread = threading.Thread(target=import_them, name="imports")
    thread.start()
    try:
        yield
    finally:
        thread.join()
