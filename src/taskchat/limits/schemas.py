"""Rate limits as they look on the wire."""

from pydantic import BaseModel, Field

from taskchat.limits.buckets import RateLevel


class RateLevelOut(BaseModel):
    """What is left of one limit."""

    scope: str = Field(
        description="user, channel:rest, channel:sse, channel:websocket, channel:schedule, "
        "conversation:<id> (turns), tokens (model tokens) or mcp (tool calls of MCP clients)."
    )
    limit: int = Field(description="A minute's worth, and what a full bucket holds.")
    remaining: int
    reset_at: int = Field(description="When it is full again, in seconds since 1970.")
    retry_after: int = Field(description="Seconds until one is left; 0 where there is one.")


class LimitsOut(BaseModel):
    """What is left of every limit that is switched on."""

    limits: list[RateLevelOut]


def shown(level: RateLevel) -> RateLevelOut:
    """One level, as it is told."""
    return RateLevelOut(
        scope=level.scope,
        limit=level.limit,
        remaining=level.remaining,
        reset_at=level.reset_at,
        retry_after=level.retry_after_s,
    )
