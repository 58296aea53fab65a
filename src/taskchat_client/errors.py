"""What can go wrong, drawn once.

    TaskchatError          code, message, request_id
      ConnectionLost       the service could not be reached, or was away for too long
      UnexpectedAnswer     what answered is not the service, or one that this client does not know
      Refused              an answer that is not a success: status, details, retry_after_s
        InvalidRequest     400
        InvalidAuth        401
        Forbidden          403
        NotFound           404
        Conflict           409
        RateLimited        429
        Unavailable        503
      TurnFailed           the turn was taken, and ended without a reply: details
        TurnCancelled      because somebody stopped it
      AwaitingFeedback     the turn waits for an answer of its user's: request

`Refused` and `TurnFailed` also have `turn_id` and `conversation_id`, as far as there are such.
"""

from typing import Any, ClassVar

import httpx2

from taskchat_client.events import ErrorEvent, FeedbackRequest

CANCELLED = "turn_cancelled"


class TaskchatError(Exception):
    """Anything that this client raises on purpose.

    Attributes:
        code: What it is, for programs; the service's `error_code` where it is one of its.
        message: What it is and what to do, for people.
        request_id: Of the request in which it happened, as in the service's log.
    """

    def __init__(self, code: str, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.request_id = code, message, request_id

    @property
    def passes(self) -> bool:
        """Whether the same request may well succeed a moment later."""
        return False


class ConnectionLost(TaskchatError):
    """The service can't be reached, or the connection broke."""

    def __init__(self, message: str) -> None:
        super().__init__("connection_lost", message)

    @property
    def passes(self) -> bool:
        """It does."""
        return True


class UnexpectedAnswer(TaskchatError):
    """An answer that has another form than this client reads."""

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__("unexpected_answer", message, request_id=request_id)


class Refused(TaskchatError):
    """An answer that is not a success.

    Attributes:
        status: The status of HTTP.
        details: Which parts of the request were refused, each with `field` and `problem`.
        conversation_id: The conversation that it is about.
        turn_id: The turn that it is about. If it is there, the message is stored.
        retry_after_s: When a repeat makes sense, if the service says so.
    """

    known: ClassVar[dict[int, type["Refused"]]] = {}

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        request_id: str | None = None,
        details: list[dict[str, Any]] | None = None,
        conversation_id: str | None = None,
        turn_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code or f"http_{status}", message, request_id=request_id)
        self.status = status
        self.details = details or []
        self.conversation_id, self.turn_id = conversation_id, turn_id
        self.retry_after_s = retry_after_s
        self._is_of_service = code is not None

    def __init_subclass__(cls, *, status: int) -> None:
        super().__init_subclass__()
        cls.known[status] = cls

    @property
    def passes(self) -> bool:
        """If the service says so, or is away, or something before it answers in its place."""
        if self.retry_after_s is not None or self.status in (408, 429, 503):
            return True
        return self.status >= 500 and not self._is_of_service

    @classmethod
    def by(cls, response: httpx2.Response) -> "Refused":
        """What an answer refuses, once its body is read."""
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("error_code"), str):
            body = {}
        message = body.get("error") or (
            f"{response.url.copy_with(query=None)} answers {response.status_code} "
            f"{response.reason_phrase}".rstrip()
        )
        kind = cls.known.get(response.status_code, Refused)
        return kind(
            response.status_code,
            body.get("error_code"),
            message,
            request_id=body.get("request_id") or response.headers.get("x-request-id"),
            details=body.get("details"),
            conversation_id=body.get("conversation_id"),
            turn_id=body.get("turn_id"),
            retry_after_s=_seconds(response.headers.get("retry-after")),
        )


class InvalidRequest(Refused, status=400):
    """The request does not fit the contract; `details` lists what."""


class InvalidAuth(Refused, status=401):
    """No token, or one that proves nothing."""


class Forbidden(Refused, status=403):
    """The token is another user's."""


class NotFound(Refused, status=404):
    """It does not exist, or is another user's."""


class Conflict(Refused, status=409):
    """As things are, that can't be done; `code` says why."""


class RateLimited(Refused, status=429):
    """One of the user's rate limits is used up."""


class Unavailable(Refused, status=503):
    """The service, or its database, is away for the moment."""


class TurnFailed(TaskchatError):
    """The message was taken, and its turn ended without a reply.

    Attributes:
        event: The last event of the turn.
        details: What is known besides. Of a cancelled turn, the reply as far as it was told.
    """

    def __init__(self, event: ErrorEvent) -> None:
        super().__init__(event.error_code, event.error, request_id=event.request_id)
        self.event, self.details = event, event.details
        self.conversation_id, self.turn_id = event.conversation_id, event.turn_id

    @staticmethod
    def by(event: ErrorEvent) -> "TurnFailed":
        """How a turn ended, by its last event."""
        return (TurnCancelled if event.error_code == CANCELLED else TurnFailed)(event)


class TurnCancelled(TurnFailed):
    """The turn was stopped, by whomever."""


class AwaitingFeedback(TaskchatError):
    """The turn waits for its user: `answer` what it asks, and then `follow` it to its reply.

    Attributes:
        request: What it asks.
    """

    def __init__(self, request: FeedbackRequest) -> None:
        super().__init__("awaiting_feedback", request.question)
        self.request = request
        self.conversation_id, self.turn_id = request.conversation_id, request.turn_id


def _seconds(value: str | None) -> float | None:
    # The service sends seconds; something before it may send a date, which is as good as nothing.
    return float(value) if value is not None and value.isdecimal() else None
