"""`/api/{user_id}/feedback`: what the agent asks of its user, and answering it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import NotFound
from taskchat.feedback import repository
from taskchat.feedback.schemas import FeedbackAnswer, FeedbackOut, FeedbackStatus, feedback_out
from taskchat.http.dependencies import CurrentDatabase
from taskchat.http.ids import PlainUUID, path_id
from taskchat.http.pages import LIMIT_DEFAULT, LIMIT_MAX, Page, decode_moment, encode_moment
from taskchat.http.requests import AcceptsJson, RequestId, body_schema, json_body
from taskchat.principal import Channel
from taskchat.transports.dependencies import CurrentTurns
from taskchat.turns.feedback import answer_feedback

router = APIRouter(
    prefix="/api/{user_id}/feedback", tags=["chat"], dependencies=[Authenticated, AcceptsJson]
)

FeedbackId = Annotated[UUID, path_id("feedback_id", "feedback")]


@router.get("")
async def list_feedback(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    status: Annotated[FeedbackStatus | None, Query(description="Only those.")] = None,
    conversation_id: Annotated[
        PlainUUID | None, Query(description="Only those of this conversation.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
) -> Page[FeedbackOut]:
    """What the agent asks and has asked, the newest first."""
    async with database.transaction(principal) as connection:
        rows = await repository.listed(
            connection,
            principal,
            status=status,
            conversation_id=conversation_id,
            before=None if after is None else decode_moment(after, field="after"),
            limit=limit + 1,
        )
    has_more, rows = len(rows) > limit, rows[:limit]
    return Page(
        data=[feedback_out(row) for row in rows],
        has_more=has_more,
        next_cursor=encode_moment(rows[-1].asked_at, rows[-1].id) if has_more else None,
    )


@router.get("/{feedback_id}")
async def read_feedback(
    principal: CurrentPrincipal, database: CurrentDatabase, feedback_id: FeedbackId
) -> FeedbackOut:
    """One thing that the agent asks, and what became of it."""
    async with database.transaction(principal) as connection:
        request = await repository.find(connection, principal, feedback_id)
    if request is None:
        raise NotFound(f"The agent asks nothing of the id {feedback_id}.")
    return feedback_out(request)


@router.post("/{feedback_id}/respond", openapi_extra=body_schema(FeedbackAnswer))
async def respond(
    principal: CurrentPrincipal,
    turns: CurrentTurns,
    request_id: RequestId,
    answer: Annotated[FeedbackAnswer, Depends(json_body(FeedbackAnswer))],
    feedback_id: FeedbackId,
) -> FeedbackOut:
    """Answer what the agent asks. The first valid answer counts, and its turn goes on.

    What the turn comes to is told as of any turn: in its events, by its own address, or to a repeat
    of the message's key.
    """
    request = await answer_feedback(
        feedback_id,
        answer,
        principal=principal,
        channel=Channel.REST,
        deps=turns,
        request_id=request_id,
    )
    return feedback_out(request)
