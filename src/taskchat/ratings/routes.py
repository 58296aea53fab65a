"""`/api/{user_id}/messages/{message_id}/rating`: what the user thinks of a reply."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import Detail, InvalidRequest, NotFound, ParentGone, UserGone
from taskchat.http.dependencies import CurrentDatabase, CurrentSettings
from taskchat.http.ids import path_id
from taskchat.http.requests import AcceptsJson, body_schema, json_body
from taskchat.postgres.database import Connection
from taskchat.principal import Principal
from taskchat.ratings import repository
from taskchat.ratings.schemas import NewRating, RatingOut

router = APIRouter(
    prefix="/api/{user_id}/messages/{message_id}/rating",
    tags=["conversations"],
    dependencies=[Authenticated, AcceptsJson],
)

MessageId = Annotated[UUID, path_id("message_id", "message")]


@router.put("", openapi_extra=body_schema(NewRating))
async def rate(
    principal: CurrentPrincipal,
    database: CurrentDatabase,
    settings: CurrentSettings,
    rating: Annotated[NewRating, Depends(json_body(NewRating))],
    message_id: MessageId,
) -> RatingOut:
    """Say what you think of a reply, or change your mind."""
    most = settings.rating_comment_chars_max
    if rating.comment is not None and len(rating.comment) > most:
        raise _wrong("comment", f"must have at most {most} characters")
    try:
        async with database.transaction(principal) as connection:
            await _check_reply(connection, principal, message_id)
            return await repository.rate(connection, principal, message_id, rating)
    except UserGone:
        raise
    except ParentGone:
        # Its conversation was deleted in between.
        raise _no_message(message_id) from None


@router.delete("", status_code=204)
async def unrate(
    principal: CurrentPrincipal, database: CurrentDatabase, message_id: MessageId
) -> Response:
    """Take a rating back; without one, nothing happens."""
    async with database.transaction(principal) as connection:
        await _check_reply(connection, principal, message_id)
        await repository.unrate(connection, principal, message_id)
    return Response(status_code=204)


async def _check_reply(connection: Connection, principal: Principal, message_id: UUID) -> None:
    role = await repository.role_of(connection, principal, message_id)
    if role is None:
        raise _no_message(message_id)
    if role != "assistant":
        raise _wrong("message_id", "is your own: rate a reply")


def _no_message(message_id: UUID) -> NotFound:
    return NotFound(f"No message {message_id}. List the messages to see their ids.")


def _wrong(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"The {field} {problem}.", details=[Detail(field, problem)])
