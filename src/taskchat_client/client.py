"""What a user can do: each message is taken once and told whole, whatever breaks meanwhile."""

import uuid
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx2

from taskchat_client.connection import Call, Connection, Token, given, segment
from taskchat_client.errors import AwaitingFeedback, Conflict
from taskchat_client.events import Event, FeedbackRequest, TurnCompleted
from taskchat_client.models import (
    Answer,
    Conversation,
    Feedback,
    ListedTurn,
    Message,
    Steered,
    Task,
    Turn,
)
from taskchat_client.patience import OnRetry


class Client:
    """A user of a service.

    Args:
        url: Where it is, such as `http://127.0.0.1:8000`.
        token: Proves who the user is.
        user_id: Who; the token's subject if it is left out.
        headers: Sent with every request, such as `Time-Zone`.
        patience_s: How long a call goes on without getting anywhere while the service is away,
            limits it or is being started anew. 0 makes one attempt.
        silence_s: How long a stream may be silent before it is taken for broken. The service sends
            a sign of life every 15 seconds.
        on_retry: Is told of each wait: what went wrong, and for how many seconds.
        transport: What carries requests, in place of the network.

    Raises:
        ValueError: that is no address, or no token.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        user_id: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        patience_s: float = 60,
        silence_s: float = 60,
        on_retry: OnRetry | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._connection = Connection(
            url,
            token,
            user_id,
            headers=headers,
            patience_s=patience_s,
            silence_s=silence_s,
            on_retry=on_retry,
            transport=transport,
        )

    @property
    def user_id(self) -> str:
        """Who the user is."""
        return self._connection.user_id

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give all connections back."""
        await self._connection.aclose()

    # --- turns ---

    def stream(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Say something, and follow what comes of it: each event once, in order, to the end.

        Args:
            message: What to say.
            conversation_id: The conversation to go on with; None starts one.
            idempotency_key: The same key is the same turn, on whatever day and from whatever
                process; one is made up if it is left out.

        Raises:
            TurnFailed: the turn ended without a reply.
            TaskchatError: it was not taken; or can't be followed any longer, and goes on.
        """
        key = idempotency_key or str(uuid.uuid4())
        body = {"message": message, "conversation_id": conversation_id}
        return self._connection.events(Call("POST", "chat", body, headers={"Idempotency-Key": key}))

    def follow(self, turn_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """What happens in a turn, whoever began it, from its beginning or from behind an event.

        Raises:
            TurnFailed: the turn ended without a reply.
            TaskchatError: there is no such turn, or it can't be followed any longer.
        """
        return self._connection.events(None, turn_id, after)

    async def send(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Say something, and wait for the answer.

        Raises:
            AwaitingFeedback: the agent asks something first.
            TaskchatError: as of `stream`.
        """
        events = self.stream(
            message, conversation_id=conversation_id, idempotency_key=idempotency_key
        )
        return await _reply(events)

    async def wait(self, turn_id: str, *, after: int = 0) -> Answer:
        """Wait for the answer of a turn, from behind an event of it.

        Raises:
            AwaitingFeedback: the agent asks something first.
            TaskchatError: as of `follow`.
        """
        return await _reply(self.follow(turn_id, after=after))

    async def steer(
        self, turn_id: str, message: str, *, idempotency_key: str | None = None
    ) -> Steered:
        """Say something to a turn that is unfinished: its next model call knows it."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        path = f"turns/{segment(turn_id)}/messages"
        return await self._connection.one(
            Steered, Call("POST", path, {"message": message}, headers=headers)
        )

    async def cancel(self, turn_id: str) -> Turn:
        """Stop a turn; what it did stays. One that is stopped already is as good.

        Raises:
            Conflict: it has ended otherwise.
        """
        try:
            return await self._connection.one(
                Turn, Call("POST", f"turns/{segment(turn_id)}/cancel")
            )
        except Conflict:
            # It may be this call that stopped it, in an attempt whose answer was lost.
            turn = await self.turn(turn_id)
            if turn.status != "cancelled":
                raise
            return turn

    async def turn(self, turn_id: str) -> Turn:
        """One turn and how far it is."""
        return await self._connection.one(Turn, Call("GET", f"turns/{segment(turn_id)}"))

    async def answer(
        self,
        feedback_id: str,
        answer: str,
        *,
        comment: str | None = None,
        calls: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Feedback:
        """Answer what the agent asks.

        Args:
            feedback_id: What it asks.
            answer: `approve` or `reject`, or any text to a question.
            comment: What the model is told besides.
            calls: What differs for some of the calls, by `tool_call_id`.

        Raises:
            Conflict: somebody has answered otherwise, or it is over.
        """
        path = f"feedback/{segment(feedback_id)}"
        body = {"answer": answer, "comment": comment, "calls": calls}
        said = {name: value for name, value in body.items() if value is not None}
        try:
            return await self._connection.one(Feedback, Call("POST", f"{path}/respond", said))
        except Conflict:
            # As of a turn that is cancelled twice.
            given = await self._connection.one(Feedback, Call("GET", path))
            if (given.answer, given.comment) != (answer, comment):
                raise
            return given

    # --- what there is ---

    async def conversations(self, *, newest: int | None = 50) -> list[Conversation]:
        """The user's conversations, the one with the newest message first; None gives all."""
        return await self._connection.listed(Conversation, "conversations", newest)

    async def conversation(self, conversation_id: str) -> Conversation:
        """One conversation."""
        path = f"conversations/{segment(conversation_id)}"
        return await self._connection.one(Conversation, Call("GET", path))

    async def messages(self, conversation_id: str, *, newest: int | None = 100) -> list[Message]:
        """The newest messages of a conversation, in the order in which they were said."""
        path = f"conversations/{segment(conversation_id)}/messages"
        return await self._connection.listed(Message, path, newest, backwards=True)

    async def turns(
        self, conversation_id: str, *, status: str | None = None, first: int | None = 100
    ) -> list[ListedTurn]:
        """The turns of a conversation by number, all or those of a status."""
        path = f"conversations/{segment(conversation_id)}/turns"
        return await self._connection.listed(ListedTurn, path, first, given(status=status))

    async def tasks(self, *, status: str = "all") -> list[Task]:
        """The user's tasks by number; `status` may be `pending` or `completed`."""
        return await self._connection.listed(Task, "tasks", None, {"status": status})

    async def feedback(
        self, *, status: str | None = None, conversation_id: str | None = None
    ) -> list[Feedback]:
        """What the agent asks and has asked, the newest first."""
        narrowed = given(status=status, conversation_id=conversation_id)
        return await self._connection.listed(Feedback, "feedback", None, narrowed)


async def _reply(events: AsyncGenerator[Event, None]) -> Answer:
    try:
        async for event in events:
            if isinstance(event, FeedbackRequest):
                raise AwaitingFeedback(event)
            if isinstance(event, TurnCompleted):
                return event.result
    finally:
        await events.aclose()
    raise AssertionError("a stream ends with its turn")
