"""Every answer other than success, as one tree of errors. It depends on no framework.

    ServiceError
    ├── InvalidRequest 400          ├── ConversationBusy 409
    ├── InvalidAuth 401             ├── ConversationEnded 409
    ├── Forbidden 403               ├── TurnInProgress 409
    ├── NotFound 404                ├── TurnNotCancellable 409
    ├── MethodNotAllowed 405        ├── TurnCancelled 409
    ├── NotAcceptable 406           ├── IdempotencyMismatch 422
    ├── RequestTimeout 408          ├── InternalError 500
    ├── PayloadTooLarge 413         ├── ModelError 502
    ├── UnsupportedMediaType 415    │   └── ScriptError 502
    ├── RateLimited 429             ├── DatabaseError 503
    ├── TooManyAtOnce 429           │   ├── DatabaseRefused 503
    ├── HeadersTooLarge 431         │   ├── DatabaseUnwritable 503
    ├── TooManyActive 409           │   ├── Overloaded 503
    ├── TooManyShares 409           │   └── UserGone 503
    ├── TooManyVersions 409         ├── SignInsBusy 503
    ├── TooManySchedules 409        ├── ShuttingDown 503
    ├── TooManyTasks 409            └── RunTimeout 504
    ├── TooManyConversations 409
    ├── TooManyWebhooks 409
    └── AlreadyRegistered 409

Each message is one sentence, or two, that says what to do next; it never holds SQL, a
secret, a path or what the caller sent. Only `ScriptError` quotes: the script, and the message.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Detail:
    """One field that was refused.

    Attributes:
        field: Its path: `message`, `header.Idempotency-Key`.
        problem: What is wrong with it, without the value.
    """

    field: str
    problem: str

    def shown(self) -> dict[str, str]:
        """The detail as it is told."""
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class InterruptedReply(Detail):
    """What was read of the reply of a turn before it was cancelled.

    Attributes:
        message_id: The message that keeps it.
        content: Its text.
    """

    message_id: UUID
    content: str


class ServiceError(Exception):
    """An answer that is not a success.

    Args:
        message: What to do next, in a sentence for a person.
        details: Refused fields, for `invalid_request`; the interrupted reply, for `turn_cancelled`.
        conversation_id: The conversation concerned, if there is one.
        turn_id: The turn concerned, if one was accepted.
        retry_after_s: Seconds after which a repeat makes sense.

    Attributes:
        request_id: Of the request that it first answered, if it is repeated.
        replayed: Whether it is the stored end of a turn, repeated for a repeated key.
        headers: Further headers of its answer.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    default: ClassVar[str] = "Something failed on our side; repeat the request."

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Sequence[Detail] = (),
        conversation_id: UUID | None = None,
        turn_id: UUID | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self.message = message or self.default
        self.details = tuple(details)
        self.conversation_id = conversation_id
        self.turn_id = turn_id
        self.retry_after_s = retry_after_s
        self.request_id: str | None = None
        self.replayed = False
        self.headers: dict[str, str] = {}
        super().__init__(self.message)


class InternalError(ServiceError):
    """A bug of ours, or a turn that kept dying."""


class InvalidRequest(ServiceError):
    """The request does not fit the contract."""

    status = 400
    code = "invalid_request"
    default = "The request does not fit the contract; see details."


class InvalidAuth(ServiceError):
    """No token, or one that proves nothing."""

    status = 401
    code = "invalid_auth"
    default = "Send a valid token as “Authorization: Bearer <token>”."


class Forbidden(ServiceError):
    """The token is good, the path is somebody else's."""

    status = 403
    code = "forbidden"
    default = "The user id in the path is not the token's subject; use your own."


class NotFound(ServiceError):
    """It does not exist, or it is not the caller's: nobody learns which."""

    status = 404
    code = "not_found"
    default = "There is nothing at this address; check how it is written."


class MethodNotAllowed(ServiceError):
    """The route exists, the method does not."""

    status = 405
    code = "method_not_allowed"
    default = "This address does not take that method; the Allow header lists those it takes."


class NotAcceptable(ServiceError):
    """None of the forms that the caller accepts can be given."""

    status = 406
    code = "not_acceptable"
    default = "This address answers application/json; accept that."


class RequestTimeout(ServiceError):
    """The request did not arrive in time."""

    status = 408
    code = "request_timeout"
    default = "The request did not arrive in time; send it again."


class ConversationBusy(ServiceError):
    """Earlier turns of the conversation took longer than the caller may wait."""

    status = 409
    code = "conversation_busy"
    default = "Earlier messages of this conversation are still being answered; wait for them."


class ConversationEnded(ServiceError):
    """An ended conversation takes no more turns."""

    status = 409
    code = "conversation_ended"
    default = "This conversation has ended; leave conversation_id out to start another."


class TooManyConversations(ServiceError):
    """The user has as many conversations as they may; nothing was stored."""

    status = 409
    code = "too_many_conversations"
    default = "You have as many conversations as you may; delete some first."


class TooManyActive(ServiceError):
    """The user has as many active conversations as they may; nothing was stored."""

    status = 409
    code = "too_many_active"
    default = "You have as many active conversations as you may; pause, end or delete one first."


class TooManyVersions(ServiceError):
    """The message has as many versions as it may; nothing was stored."""

    status = 409
    code = "too_many_versions"
    default = "This message has as many versions as it may; go on from one of them."


class TooManySteering(ServiceError):
    """The turn was told as much as it may be while it is unfinished; nothing was stored."""

    status = 409
    code = "too_many_steering"
    default = "This turn was told as much as it may be; wait for its reply, or cancel it."


class TooManyShares(ServiceError):
    """The conversation has as many links as it may."""

    status = 409
    code = "too_many_shares"
    default = "This conversation has as many links as it may; revoke one first."


class FeedbackClosed(ServiceError):
    """Somebody has answered, or it is too late; `details` says which."""

    status = 409
    code = "feedback_closed"
    default = "This has been answered or is over; read it to see what became of it."


class AwaitingFeedback(ServiceError):
    """The agent waits for an answer in the conversation; nothing was stored."""

    status = 409
    code = "awaiting_feedback"
    default = "The agent waits for your answer in this conversation; answer it first."


class TooManyTasks(ServiceError):
    """The user has as many tasks as they may; nothing was added."""

    status = 409
    code = "too_many_tasks"
    default = "There are as many tasks as there may be; delete one first, then add this one."


class TooManyWebhooks(ServiceError):
    """The user has as many hooks as they may."""

    status = 409
    code = "too_many_webhooks"
    default = "You have as many webhooks as you may; delete one first."


class TooManySchedules(ServiceError):
    """The user has as many schedules as they may that have not ended."""

    status = 409
    code = "too_many_schedules"
    default = "You have as many schedules as you may; withdraw one first."


class AlreadyRegistered(ServiceError):
    """Somebody has an account with this address of mail."""

    status = 409
    code = "already_registered"
    default = "This address has an account already; sign in with its password."


class TurnInProgress(ServiceError):
    """The same key is still running and the wait ran out."""

    status = 409
    code = "turn_in_progress"
    default = "This turn is still running; read it in a moment, or repeat the request with its key."


class TurnNotCancellable(ServiceError):
    """The turn is over."""

    status = 409
    code = "turn_not_cancellable"
    default = "This turn is over already; there is nothing left to cancel."


class TurnCancelled(ServiceError):
    """Somebody cancelled the turn that was waited for."""

    status = 409
    code = "turn_cancelled"
    default = "This turn was cancelled; send a new message to go on."


class PayloadTooLarge(ServiceError):
    """The body is over its limit."""

    status = 413
    code = "payload_too_large"
    default = "The request body is too large."


class UnsupportedMediaType(ServiceError):
    """The body is not plain JSON."""

    status = 415
    code = "unsupported_media_type"
    default = "Send the body as “Content-Type: application/json”, without a Content-Encoding."


class TooManyAtOnce(ServiceError):
    """The user has as much under way on this process as they may; nothing was stored."""

    status = 429
    code = "too_many_at_once"
    default = "You have as many requests under way as you may; wait until one of them is answered."


class RateLimited(ServiceError):
    """One of the user's rate limits is used up; nothing was stored."""

    status = 429
    code = "rate_limited"
    default = "Too many messages in a minute; send this one again later."


class IdempotencyMismatch(ServiceError):
    """The same key came with another body."""

    status = 422
    code = "idempotency_mismatch"
    default = "This Idempotency-Key was used with another body; use a new key."


class HeadersTooLarge(ServiceError):
    """Too many headers, or too much in them."""

    status = 431
    code = "headers_too_large"
    default = "The request has too many headers or too much in them; send fewer."


class ModelError(ServiceError):
    """Every model of the chain failed, or the run needed too many calls."""

    status = 502
    code = "model_error"
    default = (
        "The language model could not answer. Your message is kept; send another to try again."
    )


class ScriptError(ModelError):
    """A script that plays the model does not fit what happened. Its message quotes the script."""

    code = "script_error"
    default = "The script of the scripted model does not fit this turn."


class DatabaseError(ServiceError):
    """The database is away or too slow."""

    status = 503
    code = "database_error"
    default = "The database did not answer in time; repeat the request in a moment."


class Overloaded(DatabaseError):
    """The line before the database is full; nothing was stored."""

    code = "overloaded"
    default = (
        "This server has more to do than it can take on; nothing was stored. Repeat the request "
        "after the time that Retry-After names."
    )


class DatabaseRefused(DatabaseError):
    """The database does not let this login in; nobody but who runs the service can mend it."""

    default = "The database refuses this service; tell whoever runs it, and repeat the request."


class DatabaseUnwritable(DatabaseError):
    """The database answers and takes no writes: read-only, or without room."""

    default = "The database takes no writes at the moment; repeat the request in a moment."


class ParentGone(DatabaseError):
    """What a new row belongs to was deleted after this request had seen it."""

    default = (
        "What this belongs to was deleted a moment ago; repeat the request to see what is left."
    )


class UserGone(ParentGone):
    """The user's row was deleted, with all they had, after this request had seen it."""

    default = "All data of this user was deleted a moment ago; repeat the request to start anew."


class SignInsBusy(ServiceError):
    """More passwords wait to be hashed than may; nothing was stored."""

    status = 503
    code = "overloaded"
    default = "Too many people sign in at this moment; repeat the request in a few seconds."


class ShuttingDown(ServiceError):
    """This process takes no more turns."""

    status = 503
    code = "shutting_down"
    default = "This server is restarting; repeat the request in a moment."


class RunTimeout(ServiceError):
    """Time ran out: one model attempt's or the whole run's."""

    status = 504
    code = "timeout"
    default = "The answer took too long. Your message is kept; send another to try again."
