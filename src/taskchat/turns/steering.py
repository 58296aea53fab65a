"""Saying something to a turn that is unfinished: its run reads it before its next model call."""

import hashlib
import json
from dataclasses import dataclass
from uuid import UUID

import structlog

from taskchat.errors import IdempotencyMismatch, NotFound, TooManySteering, TurnInProgress
from taskchat.limits.buckets import RateLevel, limiter_failed, refusal, spent
from taskchat.moments import new_id, utc_now
from taskchat.principal import Principal
from taskchat.turns import store
from taskchat.turns.begin import NewMessage
from taskchat.turns.deps import TurnDeps
from taskchat.turns.states import TurnRef
from taskchat.turns.turn import accept_turn

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SteeredTurn:
    """What became of a message to a turn.

    Attributes:
        steered: Whether the turn reads it; if not, the message began a turn of its own.
        turn_id: The turn that reads it, or the one that it began.
        message_id: The message.
        conversation_id: Where it was said.
        replayed: Whether its key had been used before.
        rate: The tightest of the user's rate limits, if any was spent from.
    """

    steered: bool
    turn_id: UUID
    message_id: UUID
    conversation_id: UUID
    replayed: bool
    rate: RateLevel | None


async def conversation_of(turn_id: UUID, principal: Principal, deps: TurnDeps) -> UUID:
    """The conversation of the principal's turn of that id.

    Raises:
        NotFound: they have no such turn.
    """
    async with deps.database.transaction(principal) as connection:
        state = await store.find.by_id(connection, principal, turn_id)
    if state is None:
        raise _no_turn(turn_id)
    return state.turn.conversation_id


def _no_turn(turn_id: UUID) -> NotFound:
    return NotFound(f"No turn {turn_id}.")


async def steer_turn(
    turn_id: UUID, message: NewMessage, *, principal: Principal, deps: TurnDeps
) -> SteeredTurn:
    """Say something to a turn, whichever process runs it; if it has ended, it is a new message.

    Args:
        turn_id: The turn.
        message: What is said; its conversation is the turn's.
        principal: Who says it.
        deps: What a turn needs.

    Raises:
        NotFound: the principal has no such turn.
        TooManySteering: the turn was told as much as it may be; nothing was stored.
        RateLimited: one of the user's limits is used up; nothing was stored.
        IdempotencyMismatch: the key came with another body before.
        ServiceError: as `accept_turn`, if the turn has ended.
    """
    assert message.conversation_id is not None  # noqa: S101 - it is the turn's
    fingerprint = _fingerprint(turn_id, message)
    counts, costs = deps.limits.to_spend(message.conversation_id, message.channel)
    done = await store.steering.steer(
        deps.database,
        principal,
        turn_id,
        process=deps.process,
        key=message.idempotency_key,
        fingerprint=fingerprint,
        message_id=new_id(),
        content=message.content,
        said_at=utc_now(),
        limits=counts,
        costs=costs,
        steered_max=deps.settings.steering_max,
    )
    match done.outcome:
        case "not_found":
            raise _no_turn(turn_id)
        case "over" | "used":
            return await _begun(message, principal, deps)
        case "many":
            raise TooManySteering(conversation_id=done.conversation_id, turn_id=turn_id)
        case "limited":
            raise refusal(done.levels, counts, costs)
        case "taken":
            # The other request is through in a moment, and is then known.
            raise TurnInProgress(
                conversation_id=done.conversation_id, turn_id=turn_id, retry_after_s=1
            )
    known = done.outcome == "known"
    if known and done.fingerprint != fingerprint:
        raise IdempotencyMismatch
    if done.limits_failed:
        limiter_failed("turns")
    if not known:
        deps.jobs.steered(turn_id)
        log.info("turn.steered", turn_id=str(turn_id))
    return SteeredTurn(
        True,
        done.turn_id,
        done.message_id,
        message.conversation_id,
        replayed=known,
        rate=None if known else spent(done.levels, counts, costs),
    )


def _fingerprint(turn_id: UUID, message: NewMessage) -> bytes | None:
    """Identifies what has to come again with the same key; no message that begins a turn has it."""
    if message.idempotency_key is None:
        return None
    return hashlib.sha256(json.dumps({str(turn_id): message.content}).encode()).digest()


async def _begun(message: NewMessage, principal: Principal, deps: TurnDeps) -> SteeredTurn:
    """The turn that a message begins because the one that it was meant for has ended."""
    accepted = await accept_turn(message, principal=principal, deps=deps)
    return SteeredTurn(
        False,
        accepted.turn.id,
        await _message_of(accepted.turn, deps),
        accepted.turn.conversation_id,
        accepted.replayed,
        accepted.rate,
    )


async def _message_of(turn: TurnRef, deps: TurnDeps) -> UUID:
    async with deps.database.transaction(turn.principal) as connection:
        said = await store.record.user_message(connection, turn)
    if said is None:
        raise NotFound("The conversation was deleted a moment ago.")
    id_: UUID = said.id
    return id_
