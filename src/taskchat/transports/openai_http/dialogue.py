"""What a client says becomes a turn, or the answer to what a turn asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Request
from starlette.datastructures import QueryParams

from taskchat.assistant.circumstances import Circumstances
from taskchat.auth.dependencies import TokenPrincipal
from taskchat.errors import Detail, FeedbackClosed, InvalidRequest, NotFound, ServiceError
from taskchat.external_ids.ids import ChosenIds
from taskchat.external_ids.repository import find_conversation
from taskchat.feedback import repository as feedback
from taskchat.feedback.repository import Request as Asked
from taskchat.feedback.schemas import CallAnswer, FeedbackAnswer
from taskchat.http.headers import CONVERSATION_HEADER, SHOULD_RETRY_HEADER
from taskchat.http.requests import RequestId
from taskchat.principal import Channel, Principal
from taskchat.transports.answering import idempotency_key, take
from taskchat.transports.dependencies import CurrentLive, LiveDeps
from taskchat.transports.hints import read_circumstances
from taskchat.transports.intake import new_message
from taskchat.transports.openai_http.ids import (
    ResponseId,
    conversation_of,
    conversation_text,
    response_id,
)
from taskchat.transports.openai_http.requests import Decision, Input, refused
from taskchat.turns import store
from taskchat.turns.feedback import answer_feedback
from taskchat.turns.states import TurnRef
from taskchat.turns.turn import AcceptedTurn

PROTOCOL: Final = "openai"
"""Whose names of conversations these are."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is said.

    Attributes:
        conversation_id: In which conversation; None starts one.
        chosen: What its client calls the conversation, if it is not there yet.
        asking: The turn whose questions are answered, if one was named.
        version_of: What was said there already, of which this becomes another version.
    """

    conversation_id: UUID | None = None
    chosen: ChosenIds | None = None
    asking: UUID | None = None
    version_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """What was said, as the part of a turn that answers it.

    Attributes:
        turn: The turn.
        part: Which part of it.
        accepted: The turn as it was accepted; None if it was there and goes on.
        headers: Of the answer.
    """

    turn: TurnRef
    part: int
    accepted: AcceptedTurn | None
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A request that says something: who says it, and how.

    Attributes:
        live: What streams and turns need.
        principal: Who it is.
        key: The request's Idempotency-Key, if there is one.
        circumstances: What is known about them.
        request_id: The request's id.
    """

    live: LiveDeps
    principal: Principal
    key: str | None
    circumstances: Circumstances
    request_id: str

    async def after(self, text: str) -> Place:
        """The place behind a response.

        What was said there already becomes the first version of what is said now: both go on from
        that response, each on its own branch.

        Raises:
            NotFound: the principal has no such response.
        """
        named = response_id(text)
        if named is None:
            raise no_response("previous_response_id")
        async with self.live.database.transaction(self.principal) as connection:
            state = await store.find.by_id(connection, self.principal, named.turn_id)
            if state is None:
                raise no_response("previous_response_id")
            follower = await store.following.follower(connection, state.turn)
            if follower is not None and self.key is not None:
                known = await store.find.by_key(connection, self.principal, self.key)
                if known is not None and known.turn.id == follower:
                    # This very request, which came before.
                    follower = None
        return Place(state.turn.conversation_id, asking=state.turn.id, version_of=follower)

    async def named(self, name: str) -> Place:
        """The conversation of a name: one of ours, or one that a client made up."""
        ours = conversation_of(name)
        if ours is not None:
            return Place(ours)
        async with self.live.database.transaction(self.principal) as connection:
            found = await find_conversation(connection, self.principal, PROTOCOL, name)
        if found is not None:
            return Place(found)
        chosen = ChosenIds(PROTOCOL, name)
        return Place(chosen.conversation_id(self.principal), chosen)

    async def say(
        self, said: Input, place: Place, channel: Channel, *, answers_by_text: bool = False
    ) -> Spoken:
        """Take what is said.

        Args:
            said: What it is.
            place: Where.
            channel: How it came in.
            answers_by_text: Whether `approve` and `reject` are answers where an approval is asked.

        Raises:
            ServiceError: it can't be taken, and nothing was stored.
        """
        asked = await self._asked(place)
        if said.decisions:
            return await self._decide(said.decisions, asked, channel)
        text = said.text
        assert text is not None  # noqa: S101 - there is one or the other
        for number, request in asked:
            if request.status != "open":
                continue
            is_answer = text.casefold() in ("approve", "reject") and answers_by_text
            if request.kind == "question" or is_answer:
                return await self._answer(number, request, FeedbackAnswer(answer=text), channel)
        try:
            message = new_message(
                text,
                channel,
                settings=self.live.settings,
                conversation_id=place.conversation_id,
                idempotency_key=self.key,
                request_id=self.request_id,
                circumstances=self.circumstances,
                version_of=place.version_of,
                chosen=place.chosen,
            )
        except InvalidRequest as error:
            raise refused(said.param, error.details[0].problem) from None
        accepted, headers = await take(message, live=self.live, principal=self.principal)
        return Spoken(
            accepted.turn, 1, accepted, headers | _conversation(accepted.turn.conversation_id)
        )

    async def _asked(self, place: Place) -> list[tuple[int, Asked]]:
        """What the turn asks and has asked that is spoken to, in order and counted from 1."""
        if place.conversation_id is None:
            return []
        async with self.live.database.transaction(self.principal) as connection:
            turn_id = place.asking
            if turn_id is None:
                newest = await feedback.listed(
                    connection,
                    self.principal,
                    status=None,
                    conversation_id=place.conversation_id,
                    before=None,
                    limit=1,
                )
                if not newest:
                    return []
                turn_id = newest[0].turn_id
            requests = await feedback.of_turn(connection, self.principal, turn_id)
        return list(enumerate(requests, 1))

    async def _decide(
        self, decisions: Sequence[Decision], asked: Sequence[tuple[int, Asked]], channel: Channel
    ) -> Spoken:
        """Answer what is asked about calls: about all of them, or about none.

        Raises:
            NotFound: none of these calls waits, or has waited, there.
        """
        given = {decision.call_id: decision for decision in decisions}
        for number, request in asked:
            calls = {call.id: call for call in request.calls}
            if not given.keys() & calls.keys():
                continue
            if given.keys() != calls.keys():
                raise refused("input", "must answer all the approval requests of the response")
            answers = {
                id_: CallAnswer(answer="approve" if one.approve else "reject", comment=one.reason)
                for id_, one in given.items()
            }
            if request.status != "open" and all(
                request.decisions.get(call.call_id, {}).get("answer") == answers[id_].answer
                for id_, call in calls.items()
            ):
                # The same once more: it leads to the same response.
                return await self._goes_on(number, request)
            whole = "approve" if any(one.approve for one in decisions) else "reject"
            answer = FeedbackAnswer(
                answer=whole, calls={str(id_): answer for id_, answer in answers.items()}
            )
            return await self._answer(number, request, answer, channel)
        raise NotFound(
            "Nothing of that id waits for approval there; name the response that asks as "
            "previous_response_id, or its conversation.",
            details=[Detail("input", "answers nothing that is asked there")],
        )

    async def _answer(
        self, number: int, request: Asked, answer: FeedbackAnswer, channel: Channel
    ) -> Spoken:
        """Answer a request.

        Raises:
            FeedbackClosed: somebody has, or it is too late.
        """
        await answer_feedback(
            request.id,
            answer,
            principal=self.principal,
            channel=channel,
            deps=self.live.turns,
            request_id=self.request_id,
        )
        return await self._goes_on(number, request)

    async def _goes_on(self, number: int, request: Asked) -> Spoken:
        async with self.live.database.transaction(self.principal) as connection:
            state = await store.find.by_id(connection, self.principal, request.turn_id)
        if state is None:
            raise FeedbackClosed
        return Spoken(state.turn, number + 1, None, _conversation(request.conversation_id))

    def about(self, error: ServiceError, spoken: Spoken) -> ServiceError:
        """An error of what was taken: whatever else is wrong, it is stored, and has its ids."""
        turn = spoken.turn
        error.conversation_id, error.turn_id = turn.conversation_id, turn.id
        error.headers = dict(spoken.headers)
        error.replayed = spoken.accepted is not None and spoken.accepted.replayed
        if self.key is None:
            # It would be said once more.
            error.headers[SHOULD_RETRY_HEADER] = "false"
        return error


def no_response(param: str) -> NotFound:
    """The caller has no response of that id, whether anybody has."""
    return NotFound("No response of that id.", details=[Detail(param, "names no response")])


def named_response(text: str) -> ResponseId:
    """The response that an address names.

    Raises:
        NotFound: nothing can have such an id.
    """
    named = response_id(text)
    if named is None:
        raise no_response("response_id")
    return named


def _conversation(conversation_id: UUID) -> dict[str, str]:
    return {CONVERSATION_HEADER: conversation_text(conversation_id)}


async def dialogue(
    request: Request, principal: TokenPrincipal, live: CurrentLive, request_id: RequestId
) -> Dialogue:
    """What a request says of itself, checked before its body is read."""
    circumstances = read_circumstances(
        request.headers,
        QueryParams(),
        manner_allowed=live.settings.offline_header,
        script_allowed=live.settings.script_allowed,
    )
    return Dialogue(live, principal, idempotency_key(request), circumstances, request_id)


CurrentDialogue = Annotated[Dialogue, Depends(dialogue)]
