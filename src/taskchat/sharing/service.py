"""The rules of links: who may make how many, how long they live, and what a reader is told."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from taskchat.conversations.repository import find_conversation, hold_conversation
from taskchat.conversations.service import no_conversation
from taskchat.errors import Detail, InvalidRequest, NotFound, TooManyShares
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.principal import Principal
from taskchat.settings import Settings
from taskchat.sharing import repository
from taskchat.sharing.repository import OpenShare, Place
from taskchat.sharing.schemas import MadeShare, NewShare, SharedMessage, ShareOut
from taskchat.sharing.tokens import hash_of, new_token

BEGINNING: Final = Place(0, 0)
END: Final = Place(2**31 - 1, 0)


UNLISTED: Final = {"X-Robots-Tag": "noindex, nofollow"}
"""A link is for whom it was sent to. That no `Referer` names it and no cache keeps what it shows,
the headers of every answer see to."""


def no_link() -> NotFound:
    """The one error for a link that shows nothing, whatever the reason."""
    error = NotFound("There is no such link, or it shows nothing any more; ask for another one.")
    error.headers = dict(UNLISTED)
    return error


@dataclass(frozen=True, slots=True)
class Sharing:
    """Makes, lists, revokes and opens links.

    Attributes:
        database: Where they are kept.
        settings: For their number and their lives.
    """

    database: Database
    settings: Settings

    async def make(
        self, principal: Principal, conversation_id: UUID, wanted: NewShare
    ) -> MadeShare:
        """Make a link to what a conversation is now.

        Raises:
            InvalidRequest: it would live too long.
            NotFound: the principal has no such conversation.
            TooManyShares: the conversation has as many links as it may.
            DatabaseError: the outcome is unknown.
        """
        expires_in_h = wanted.expires_in_h or self.settings.share_expiry_default_h
        if expires_in_h > self.settings.share_expiry_max_h:
            problem = f"must be at most {self.settings.share_expiry_max_h}"
            raise InvalidRequest(
                f"The expires_in_h {problem}.", details=[Detail("expires_in_h", problem)]
            )
        token, token_hash = new_token()
        async with self.database.transaction(principal) as connection:
            # Held, so that of two at once the second one counts the first.
            if await hold_conversation(connection, principal, conversation_id) is None:
                raise no_conversation(conversation_id)
            there = await repository.count_shares(connection, principal, conversation_id)
            if there >= self.settings.conversation_shares_max:
                raise TooManyShares(conversation_id=conversation_id)
            share = await repository.make_share(
                connection,
                principal,
                conversation_id,
                new_id(),
                token_hash=token_hash,
                with_tool_calls=wanted.with_tool_calls,
                expires_in_h=expires_in_h,
            )
        return MadeShare.model_construct(**dict(share), token=token)

    async def links(
        self, principal: Principal, conversation_id: UUID, *, after: UUID | None, limit: int
    ) -> list[ShareOut]:
        """Links of a conversation that are good, the newest first.

        Raises:
            NotFound: the principal has no such conversation.
            DatabaseError: the database did not answer.
        """
        async with self.database.transaction(principal) as connection:
            if await find_conversation(connection, principal, conversation_id) is None:
                raise no_conversation(conversation_id)
            return await repository.list_shares(
                connection, principal, conversation_id, after=after, limit=limit
            )

    async def revoke(self, principal: Principal, conversation_id: UUID, share_id: UUID) -> None:
        """Revoke a link, for every reader on every process.

        Raises:
            NotFound: the conversation has no such link.
            DatabaseError: the outcome is unknown.
        """
        async with self.database.transaction(principal) as connection:
            if not await repository.revoke_share(connection, principal, conversation_id, share_id):
                raise NotFound("No such link.")

    async def revoke_all(self, principal: Principal, conversation_id: UUID) -> None:
        """Revoke every link of a conversation.

        Raises:
            NotFound: the principal has no such conversation.
            DatabaseError: the outcome is unknown.
        """
        async with self.database.transaction(principal) as connection:
            # Held, so that a link that is just being made is among them.
            if await hold_conversation(connection, principal, conversation_id) is None:
                raise no_conversation(conversation_id)
            await repository.revoke_shares(connection, principal, conversation_id)

    async def read(
        self, token: str, place: Place, *, backwards: bool, limit: int
    ) -> tuple[OpenShare, list[SharedMessage], Place | None]:
        """A page of what a link shows.

        Args:
            token: The link's.
            place: Where the page ends, if it is read backwards, else where it begins.
            backwards: Whether the messages before the place are wanted.
            limit: The most messages.

        Returns:
            The link, the messages in order, and the place to go on from, if there are more.

        Raises:
            NotFound: no good link has this token.
            Overloaded: too many wait for a connection.
            DatabaseError: the database did not answer.
        """
        token_hash = hash_of(token)
        if token_hash is None:
            raise no_link()
        read = repository.messages_before if backwards else repository.messages_after
        async with self.database.reader_transaction(token_hash) as connection:
            share = await repository.open_share(connection, token_hash)
            if share is None:
                raise no_link()
            return share, *await read(connection, share, place, limit=limit)
