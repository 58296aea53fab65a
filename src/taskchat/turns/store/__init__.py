"""The SQL of a turn, one file a step. Every statement names the owner."""

from taskchat.turns.store import (
    begin,
    claim,
    events,
    feedback,
    find,
    following,
    record,
    settle,
    steering,
    versions,
)

__all__ = [
    "begin",
    "claim",
    "events",
    "feedback",
    "find",
    "following",
    "record",
    "settle",
    "steering",
    "versions",
]
