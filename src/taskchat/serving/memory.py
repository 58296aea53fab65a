"""When the garbage collector runs in a process that serves, and what it looks at."""

import gc


def put_off_collection() -> None:
    """Collect nothing until `settle_memory`: what is imported stays.

    Hundreds of thousands of objects are made meanwhile. To look through them again and again takes
    a fifth of the time of a start, and finds next to nothing.
    """
    gc.disable()


def settle_memory() -> None:
    """Collect from now on, but never what there is already: it lives as long as the process.

    A full collection stops everything while it looks at all objects; most of those existed before
    the first request. Garbage that is among them stays: some two thousand objects of imports.
    """
    gc.freeze()
    gc.enable()
