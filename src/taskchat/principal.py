"""The verified caller, and the way they came. No user id ever comes from anywhere else."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias
from uuid import UUID

from taskchat.texts import uuid_of

ACCOUNT_PREFIX: Final = "account-"
"""What the user id of a built-in account begins with; a UUID follows."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts.

    Attributes:
        user_id: The verified token's `sub`, 1 to 255 characters.
    """

    user_id: str


def account_user_id(account: UUID) -> str:
    """The user id of a built-in account."""
    return f"{ACCOUNT_PREFIX}{account}"


def is_account(user_id: str) -> bool:
    """Whether a user id is one of those that only this service gives out."""
    return (
        user_id.startswith(ACCOUNT_PREFIX) and uuid_of(user_id[len(ACCOUNT_PREFIX) :]) is not None
    )


class Channel(StrEnum):
    """The way by which a message came in, as it is stored, limited and told."""

    REST = "rest"
    SSE = "sse"
    WEBSOCKET = "websocket"
    SCHEDULE = "schedule"

    @property
    def streams(self) -> bool:
        """Whether the sender reads along: then the model's text is wanted as it comes."""
        return self in (Channel.SSE, Channel.WEBSOCKET)


ChannelName: TypeAlias = Literal["rest", "sse", "websocket", "schedule"]
"""The same four, as the schemas of answers name them."""
