"""A chat as its client would have it, had it been there all the time: from what is stored.

Each turn is two messages, the user's and the assistant's, also where there is no reply yet: a
stream that tells the turn from its beginning puts it in that place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

from taskchat.conversations.messages import Place, messages_before
from taskchat.conversations.repository import branch_with
from taskchat.conversations.schemas import ListedMessage, ToolCallOut
from taskchat.external_ids.repository import texts_of
from taskchat.feedback import repository as feedback
from taskchat.feedback.repository import Request
from taskchat.postgres.database import AnyRow, Connection
from taskchat.principal import Principal
from taskchat.transports.ui.chunks import by_user, refused
from taskchat.transports.ui.schemas import (
    Approval,
    Part,
    SteeringPart,
    StepStartPart,
    TextPart,
    ToolPart,
    UIError,
    UIMessage,
    UIMetadata,
)
from taskchat.turns import store
from taskchat.turns.schemas import ErrorBody, Usage

PROTOCOL: Final = "ui"
"""Whose clients' ids these are."""


@dataclass(frozen=True, slots=True)
class Told:
    """One turn, as it is stored.

    Attributes:
        row: The turn.
        said: What the user said, and what they said while it ran.
        reply: The assistant's, if there is one.
        asked: What it asks or has asked, in order.
        texts: What clients call messages.
    """

    row: AnyRow
    said: Sequence[ListedMessage]
    reply: ListedMessage | None
    asked: Sequence[Request]
    texts: Mapping[UUID, str]

    def messages(self) -> Iterator[UIMessage]:
        """The user's message and the assistant's."""
        first = self.said[0]
        yield UIMessage(
            id=self._name(first),
            role="user",
            metadata=self._metadata(first, first.created_at),
            parts=[TextPart(text=first.content)],
        )
        row = self.row
        metadata = self._metadata(self.reply, self.reply.created_at if self.reply else None)
        metadata.model = row.model
        if row.status == "completed":
            metadata.usage = Usage(
                model_calls=row.model_calls,
                input_tokens=row.input_tokens,
                output_tokens=row.output_tokens,
            )
        if row.error is not None:
            body = ErrorBody.model_validate_json(row.error)
            metadata.error = UIError(
                error_code=body.error_code, error=body.error, request_id=body.request_id
            )
        yield UIMessage(
            id=str(row.id), role="assistant", metadata=metadata, parts=list(self._parts())
        )

    def _name(self, message: ListedMessage) -> str:
        return self.texts.get(message.id, str(message.id))

    def _metadata(self, message: ListedMessage | None, moment: datetime | None) -> UIMetadata:
        first = self.said[0]
        return UIMetadata(
            conversation_id=self.row.conversation_id,
            turn_id=self.row.id,
            message_id=message.id if message else None,
            created_at=moment or first.created_at,
            status=self.row.status,
            versions=message.versions if message else [],
        )

    def _parts(self) -> Iterator[Part]:
        done = [
            call for message in (*self.said, self.reply) if message for call in message.tool_calls
        ]
        moments: list[tuple[datetime, Part]] = [
            (call.executed_at, self._called(call)) for call in done
        ]
        moments += [
            (
                message.created_at,
                SteeringPart(id=self._name(message), parts=[TextPart(text=message.content)]),
            )
            for message in self.said[1:]
        ]
        called = False
        for _, part in sorted(moments, key=lambda one: one[0]):
            if isinstance(part, ToolPart) and not called:
                yield StepStartPart()
            called = isinstance(part, ToolPart)
            yield part
        known = {call.id for call in done}
        waiting = [part for part in self._waiting() if UUID(part.tool_call_id) not in known]
        if waiting:
            yield StepStartPart()
            yield from waiting
        if self.reply is not None:
            yield StepStartPart()
            yield TextPart(text=self.reply.content)

    def _called(self, call: ToolCallOut) -> ToolPart:
        id_ = str(call.id)
        approval = self._approval(call.id)
        part = ToolPart(
            type=f"tool-{call.tool_name}",
            tool_call_id=id_,
            state="output-available",
            input=call.parameters,
            provider_executed=not by_user(call.tool_name),
            approval=approval,
        )
        if approval is not None and approval.approved is False:
            part.state = "output-denied"
        elif call.status == "completed":
            part.output = call.result
        else:
            part.state, part.error_text = "output-error", str(call.result.get("error"))
            part.approval = None
        return part

    def _approval(self, id_: UUID) -> Approval | None:
        for request in self.asked:
            if request.kind == "approval" and id_ in {call.id for call in request.calls}:
                approval = Approval(id=str(id_), request_reason=request.question)
                if request.status not in ("open", "withdrawn"):
                    not_made = refused(request)
                    approval.approved = id_ not in not_made
                    approval.reason = not_made.get(id_, request.comment)
                return approval
        return None

    def _waiting(self) -> Iterator[ToolPart]:
        """The calls that its user is asked about, or has answered and that are not made yet."""
        for request in self.asked:
            for call in request.calls:
                approval = self._approval(call.id)
                part = ToolPart(
                    type=f"tool-{call.tool_name}",
                    tool_call_id=str(call.id),
                    state="input-available",
                    input=dict(call.arguments),
                    provider_executed=not by_user(call.tool_name),
                    approval=approval,
                )
                if approval is not None:
                    decided = approval.approved is not None
                    part.state = "approval-responded" if decided else "approval-requested"
                yield part


async def read_messages(
    connection: Connection,
    principal: Principal,
    conversation_id: UUID,
    *,
    before: Place,
    limit: int,
) -> tuple[list[UIMessage], Place | None]:
    """The newest messages of what a conversation shows, in whole turns.

    Args:
        connection: Where they are.
        principal: The conversation's owner.
        conversation_id: The conversation.
        before: The place before which they stand.
        limit: The most messages to read; more than one turn can have.

    Returns:
        The messages, and the place before which older ones stand, if there are any.
    """
    branch = await branch_with(connection, principal, conversation_id, None)
    found, older = await messages_before(
        connection, principal, conversation_id, before, branch=branch, limit=limit
    )
    turns = [list(said) for _, said in groupby(found, key=lambda message: message.turn_id)]
    if older is not None and older.position > 0:
        # Its beginning is on the page before.
        del turns[0]
    ids = [said[0].turn_id for said in turns]
    rows = {row.id: row for row in await store.find.by_ids(connection, principal, ids)}
    asked = await feedback.of_turns(connection, principal, ids)
    texts = await texts_of(
        connection, principal, PROTOCOL, [one.id for said in turns for one in said]
    )
    shown = [
        message
        for said in turns
        for message in Told(
            rows[said[0].turn_id],
            [one for one in said if one.role == "user"],
            next((one for one in said if one.role == "assistant"), None),
            [request for request in asked if request.turn_id == said[0].turn_id],
            texts,
        ).messages()
    ]
    if older is not None and turns:
        number = rows[ids[0]].number
        older = Place(number, 0, number)
    return shown, older
