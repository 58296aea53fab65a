"""`/api/{user_id}/search`: what a user's messages, conversations and tasks say."""

from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Query

from taskchat.auth.dependencies import Authenticated, CurrentPrincipal
from taskchat.http.dependencies import given
from taskchat.http.ids import PlainUUID
from taskchat.http.pages import LIMIT_MAX
from taskchat.http.requests import AcceptsJson
from taskchat.search.repository import Asked
from taskchat.search.schemas import HitKind, HitPage
from taskchat.search.service import Search

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
        PlainUUID | None, Query(description="Only this conversation and its messages.")
    ] = None,
) -> HitPage:
    """What is found in messages, titles of conversations and tasks, the best first.

    What has all the words; if nothing has, what has any of them. If an embedding model is set,
    messages are also compared by meaning, and the two rankings fused into one.
    """
    kinds: tuple[HitKind, ...] = get_args(HitKind) if kind is None else (kind,)
    asked = Asked(searching.checked(q), kinds, conversation_id, None)
    return await searching.page(principal, asked, limit=limit, after=after)
