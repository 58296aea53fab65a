"""`/api/{user_id}/search`: what a user's messages, conversations and tasks say."""

from typing import Annotated, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.errors import Detail, InvalidRequest
from taskchat.http.dependencies import given
from taskchat.http.pages import LIMIT_MAX
from taskchat.http.requests import AcceptsJson
from taskchat.search.repository import Asked
from taskchat.search.schemas import HitKind, HitPage
from taskchat.search.service import Search
from taskchat.texts import uuid_of

LIMIT_DEFAULT = 20
"""Nobody reads further; who does asks for the next page."""

router = APIRouter(
    prefix="/api/{user_id}/search", tags=["search"], dependencies=[Authenticated, AcceptsJson]
)


@router.get("")
async def search(
    principal: CurrentPrincipal,
    searching: Annotated[Search, Depends(given(Search))],
    q: Annotated[
        str,
        Query(
            description="Words; “a phrase”, -without, this or that. The last word may be the "
            "beginning of one, unless a space follows it."
        ),
    ],
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
    after: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
    kind: Annotated[HitKind | None, Query(description="Only what is of this kind.")] = None,
    conversation_id: Annotated[
        str | None,
        Query(
            description="Only this conversation and its messages.",
            json_schema_extra={"format": "uuid"},
        ),
    ] = None,
) -> HitPage:
    """What is found in messages, titles of conversations and tasks, the best first.

    What has all the words; if nothing has, what has any of them. If an embedding model is set,
    messages are also compared by meaning, and the two rankings fused into one.
    """
    kinds: tuple[HitKind, ...] = get_args(HitKind) if kind is None else (kind,)
    asked = Asked(searching.checked(q), kinds, _conversation(conversation_id), None)
    return await searching.page(principal, asked, limit=limit, after=after)


def _conversation(given_id: str | None) -> UUID | None:
    if given_id is None:
        return None
    conversation_id = uuid_of(given_id)
    if conversation_id is None:
        problem = "must be the id of a conversation"
        raise InvalidRequest(
            f"The parameter conversation_id {problem}.",
            details=[Detail("conversation_id", problem)],
        )
    return conversation_id
