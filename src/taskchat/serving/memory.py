"""When the garbage collector runs in a process that serves, and what it looks at.

It stops everything while it runs, for some 0.2 to 1 ms a thousand objects. What it is there for are
objects that hold each other in a circle; everything else is freed without it, at once.
"""

import gc
from typing import Final

YOUNG_OBJECTS: Final = 10_000
"""New objects that are not freed at once, until they are looked through. A turn that is under way
has a thousand: with Python's own number, 700 or 2,000, it would be looked through several times."""

YOUNG_ROUNDS: Final = 1
"""Such collections before one that looks at their survivors too, which are at most three times as
many objects. With Python's own number, 10, they would be a hundred thousand."""

OLD_ROUNDS: Final = 100
"""Those before one that looks at everything since the start, which stops the process for 0.2 s if a
thousand sockets are open. They take three million objects that are not freed at once: a tool call
leaves some forty, a request and a socket none. With Python's own number, 10, it came every few
seconds; without any, circles of objects that have lived for long would never be freed."""


def put_off_collection() -> None:
    """Collect nothing until `settle_memory`: what is imported stays.

    Hundreds of thousands of objects are made meanwhile. To look through them again and again takes
    a fifth of the time of a start, and finds next to nothing.
    """
    gc.disable()


def settle_memory() -> None:
    """Collect from now on, but never what there is already: it lives as long as the process.

    Garbage that is among it stays too: some two thousand objects of imports, which it would take a
    tenth of the time of a start to find.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_ROUNDS, OLD_ROUNDS)
    gc.enable()
