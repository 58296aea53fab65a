"""The tool `schedule_message`, by which the agent keeps a message that is said later.

The task server is given it, and a model is offered it only where the agent's configuration says so.
"""

import json
from typing import Annotated, Literal
from uuid import UUID

from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import AwareDatetime, BaseModel, Field

from taskchat.errors import InvalidRequest, TooManySchedules
from taskchat.moments import new_id, utc_now
from taskchat.schedules.models import TIME_ZONE_CHARS_MAX
from taskchat.schedules.planning import Wanted, planned
from taskchat.schedules.rule import RULE_CHARS_MAX
from taskchat.schedules.service import checked_message, values_of
from taskchat.settings import Settings
from taskchat.tasks.calling import current_caller
from taskchat.tasks.effects import TaskEffect
from taskchat.tasks.tools import Approved, ToolSpec, perform_effect
from taskchat.turns.schemas import MessageText


class ScheduledMessage(BaseModel):
    """What the tool answers."""

    schedule_id: UUID
    status: Literal["scheduled"]
    next_at: str = Field(description="When it is said first, in UTC.")


def schedule_tool(settings: Settings) -> ToolSpec:
    """The tool, within the limits of these settings."""

    async def schedule_message(
        message: Annotated[
            MessageText,
            Field(description="What is said then, as if the person said it: a request to you."),
        ],
        at: Annotated[
            AwareDatetime | None,
            Field(description="When it is said, once: RFC 3339, with the offset."),
        ] = None,
        rule: Annotated[
            str | None,
            Field(
                max_length=RULE_CHARS_MAX,
                description="Or by what RRULE of RFC 5545, such as FREQ=DAILY;BYHOUR=8;BYMINUTE=0.",
            ),
        ] = None,
        time_zone: Annotated[
            str | None,
            Field(
                max_length=TIME_ZONE_CHARS_MAX,
                description="The person's, by its IANA name: the rule follows its clock.",
            ),
        ] = None,
        *,
        approved: Approved,
    ) -> ScheduledMessage:
        """Say a message in this conversation later, once or again and again."""
        caller = current_caller()
        now = utc_now()
        try:
            checked_message(message, settings)
            plan = planned(Wanted(at, rule, time_zone), now=now, settings=settings)
            values = values_of(new_id(), message, caller.conversation_id, plan, now, settings)
        except InvalidRequest as error:
            raise ToolError(error.message) from error
        values["schedules_max"] = settings.schedules_max
        effect = TaskEffect(
            "schedule",
            done="scheduled",
            title=values.pop("message"),
            description=json.dumps(values, default=_written),
            refusal=TooManySchedules.default,
        )
        return await perform_effect(effect, ScheduledMessage, approved)

    return schedule_message, ToolAnnotations(destructive_hint=False, open_world_hint=False)


def _written(value: object) -> str:
    """A moment or an id, as the database reads it."""
    return str(value)
