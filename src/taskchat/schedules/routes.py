"""`/api/{user_id}/schedules`: messages that are said at a time, or by a rule."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.conversations.routes import Limit
from taskchat.http.dependencies import given
from taskchat.http.ids import PlainUUID, path_id
from taskchat.http.pages import LIMIT_DEFAULT, Page, decode_cursor, encode_cursor, foreign_cursor
from taskchat.http.requests import AcceptsJson, body_schema, json_body
from taskchat.schedules.models import ScheduleStatus
from taskchat.schedules.schemas import NewSchedule, ScheduleChange, ScheduleOut
from taskchat.schedules.service import Schedules
from taskchat.texts import uuid_of

router = APIRouter(
    prefix="/api/{user_id}/schedules",
    tags=["schedules"],
    dependencies=[Authenticated, AcceptsJson],
)

ScheduleId = Annotated[UUID, path_id("schedule_id", "schedule")]
CurrentSchedules = Annotated[Schedules, Depends(given(Schedules))]


@router.get("")
async def list_schedules(
    principal: CurrentPrincipal,
    schedules: CurrentSchedules,
    limit: Limit = LIMIT_DEFAULT,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
    status: Annotated[ScheduleStatus | None, Query(description="Only those.")] = None,
    conversation_id: Annotated[
        PlainUUID | None, Query(description="Only those of this conversation.")
    ] = None,
) -> Page[ScheduleOut]:
    """The user's schedules, the newest first; those that have ended too, for a while."""
    place = None if after is None else _place(after)
    found = await schedules.listed(
        principal,
        status=status,
        conversation_id=conversation_id,
        after=place,
        limit=limit + 1,
    )
    has_more, found = len(found) > limit, found[:limit]
    return Page(
        data=found,
        has_more=has_more,
        next_cursor=encode_cursor(str(found[-1].id)) if has_more else None,
    )


def _place(cursor: str) -> UUID:
    place = uuid_of(str(decode_cursor(cursor, str, field="after")[0]))
    if place is None:
        raise foreign_cursor("after")
    return place


@router.post("", status_code=201, openapi_extra=body_schema(NewSchedule))
async def make_schedule(
    principal: CurrentPrincipal,
    schedules: CurrentSchedules,
    wanted: Annotated[NewSchedule, Depends(json_body(NewSchedule))],
) -> ScheduleOut:
    """Have a message said at a time, or again and again by a rule."""
    return await schedules.make(principal, wanted)


@router.get("/{schedule_id}")
async def read_schedule(
    principal: CurrentPrincipal, schedules: CurrentSchedules, schedule_id: ScheduleId
) -> ScheduleOut:
    """One schedule: when it is said next, and what became of it the last time."""
    return await schedules.read(principal, schedule_id)


@router.patch("/{schedule_id}", openapi_extra=body_schema(ScheduleChange))
async def change_schedule(
    principal: CurrentPrincipal,
    schedules: CurrentSchedules,
    # Before the id: a bad body is reported before a schedule that does not exist.
    change: Annotated[ScheduleChange, Depends(json_body(ScheduleChange))],
    schedule_id: ScheduleId,
) -> ScheduleOut:
    """Change what is said, when, or whether for now."""
    return await schedules.change(principal, schedule_id, change)


@router.delete("/{schedule_id}", status_code=204)
async def withdraw_schedule(
    principal: CurrentPrincipal, schedules: CurrentSchedules, schedule_id: ScheduleId
) -> Response:
    """Withdraw a schedule; what it has said stays."""
    await schedules.withdraw(principal, schedule_id)
    return Response(status_code=204)
