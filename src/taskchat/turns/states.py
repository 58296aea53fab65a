"""A turn's identity, its claim and its state. Nothing here touches the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from taskchat.principal import Channel, Principal

OWN_KEY: Final = "\n"
"""What the idempotency keys begin with that this service makes itself: no client can send one."""


@dataclass(frozen=True, slots=True)
class TurnRef:
    """A turn's ids, its user, and its place in the conversation."""

    principal: Principal
    id: UUID
    conversation_id: UUID
    number: int


@dataclass(frozen=True, slots=True)
class Takeover:
    """Why a turn that ran was free to be taken.

    Attributes:
        reason: `released` by its owner; `own`, taken again by the same process, because its job had
            ended without it; or what became of its owner: see `processes.repository.LOST`.
        left_by: The process that ran it before.
    """

    reason: str
    left_by: UUID | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A turn that this process runs now.

    Attributes:
        turn: The turn by its ids.
        attempt: The fencing token.
        deaths: How many processes are known to have died while they ran it.
        channel: How its message came in.
        taken: Why it was free, if it ran before.
    """

    turn: TurnRef
    attempt: int
    deaths: int
    channel: Channel
    taken: Takeover | None = None


@dataclass(frozen=True, slots=True)
class Steered:
    """What a user said to a turn while it was unfinished.

    Attributes:
        id: The message's id.
        content: What was said.
        created_at: When.
        after_answers: After how many answers of models the turn read it; None if it has not.
    """

    id: UUID
    content: str
    created_at: datetime
    after_answers: int | None


@dataclass(slots=True)
class Unread:
    """Whether a turn may have something to read: a hint, which saves looking for nothing.

    Attributes:
        may_be: Whether it may. If a hint is lost, the end of the turn is refused and tells.
    """

    may_be: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """What is told of a turn whose message is another version of an earlier one.

    Attributes:
        of: The turn with the first version.
        number: Which version it is; the first is 1.
        follows: Whether there is a turn before it.
        changes_kept: How many calls of the turns that its branch leaves out changed tasks.
    """

    of: UUID
    number: int
    follows: bool
    changes_kept: int


@dataclass(frozen=True, slots=True)
class Page:
    """The newest messages of a conversation.

    Attributes:
        messages: As JSON, in order.
        has_more: Whether there are older ones.
    """

    messages: str
    has_more: bool


@dataclass(frozen=True, slots=True)
class TurnState:
    """How far a turn is.

    Attributes:
        turn: The turn by its ids.
        status: Its state.
        result: The JSON of the answer, or of the error, once it is over.
        fingerprint: Of the body that began it, if it came with a key.
        page: The conversation up to it, if whoever waits for it asked for that.
    """

    turn: TurnRef
    status: str
    result: str | None
    fingerprint: bytes | None
    page: Page | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether it goes on by itself: it waits in line, or runs."""
        return self.status in ("queued", "running")

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return not self.is_under_way and self.status != "awaiting_feedback"
