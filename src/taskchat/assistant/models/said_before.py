"""The history of one run, and what every call of a model needs of it: each worked out once."""

from collections.abc import Sequence
from functools import cached_property
from typing import cast

from agents.items import TResponseInputItem

from taskchat.assistant.models.counting import bytes_of_items
from taskchat.assistant.models.soundness import call_ids_of
from taskchat.assistant.models.writing import Writer
from taskchat.conversations.history import InputItem


class SaidBefore:
    """What was said before a turn. It may be long, and it stays the same for the whole run.

    Args:
        items: Oldest first. Made of whole turns from the record, so that nothing in them refers to
            what follows, and any model can read them.
    """

    def __init__(self, items: Sequence[InputItem]) -> None:
        self.items = cast("Sequence[TResponseInputItem]", items)
        self._written: dict[Writer, bytes] = {}

    @cached_property
    def call_ids(self) -> frozenset[str]:
        """The ids of its calls."""
        return frozenset(call_ids_of(self.items))

    @cached_property
    def size(self) -> int:
        """Its size in bytes, as far as a model counts it."""
        return bytes_of_items(self.items)

    def written(self, write: Writer) -> bytes:
        """The items as they go over the wire."""
        if write not in self._written:
            self._written[write] = write(self.items)
        return self._written[write]
