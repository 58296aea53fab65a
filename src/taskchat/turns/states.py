"""How a turn is named, held and told apart. Nothing here touches the database."""

from dataclasses import dataclass
from uuid import UUID

from taskchat.principal import Channel, Principal


@dataclass(frozen=True, slots=True)
class TurnRef:
    """Which turn, whose, and where in its conversation."""

    principal: Principal
    id: UUID
    conversation_id: UUID
    number: int


@dataclass(frozen=True, slots=True)
class Takeover:
    """Why a turn that ran was free to be taken.

    Attributes:
        reason: `released` by its owner; its `own` once more, where its job had ended without it; or
            what became of its owner: see `processes.repository.LOST`.
        left_by: Who ran it before.
    """

    reason: str
    left_by: UUID | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A turn that this process runs now.

    Attributes:
        turn: The turn by its ids.
        attempt: The fencing token.
        deaths: How many processes died while they ran it, as far as is known.
        channel: How its message came in.
        taken: Why it was free, where it ran before.
    """

    turn: TurnRef
    attempt: int
    deaths: int
    channel: Channel
    taken: Takeover | None = None


@dataclass(frozen=True, slots=True)
class TurnState:
    """How far a turn is.

    Attributes:
        turn: The turn by its ids.
        status: Its state.
        result: The JSON of the answer, or of the error, once it is over.
        fingerprint: Of the body that began it, where it came with a key.
    """

    turn: TurnRef
    status: str
    result: str | None
    fingerprint: bytes | None
