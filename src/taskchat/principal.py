"""The verified caller, and the way they came. No user id ever comes from anywhere else."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts.

    Attributes:
        user_id: The verified token's `sub`, 1 to 255 characters.
    """

    user_id: str


class Channel(StrEnum):
    """The way by which a message came in, as it is stored, limited and told."""

    REST = "rest"
    SSE = "sse"
    WEBSOCKET = "websocket"

    @property
    def streams(self) -> bool:
        """Whether the sender reads along: then the model's text is wanted as it comes."""
        return self is not Channel.REST


ChannelName: TypeAlias = Literal["rest", "sse", "websocket"]
"""The same three, as the schemas of answers name them."""
