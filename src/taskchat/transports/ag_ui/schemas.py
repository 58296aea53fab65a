"""What an AG-UI client sends: of its RunAgentInput, what is read here.

The history that it sends along is not read: what was said is in Postgres, and nobody can say by a
request what the assistant has done before.
"""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from taskchat.errors import Detail, InvalidRequest
from taskchat.external_ids.ids import ExternalId
from taskchat.turns.schemas import MessageText

_TEXT: Final[TypeAdapter[str]] = TypeAdapter(MessageText)
_ID: Final[TypeAdapter[str]] = TypeAdapter(ExternalId)


class RunMessage(BaseModel):
    """A message of the client's; only of the last one more is read than who said it."""

    model_config = ConfigDict(
        json_schema_extra={
            "additionalProperties": True,
            "examples": [{"id": "message-1", "role": "user", "content": "Add task: Buy groceries"}],
        }
    )

    id: str
    role: str = Field(description="`user`, `assistant`, `tool`, …, as the protocol has it.")
    content: Any = Field(
        None, description="Of the user's: text, or parts of the type `text`; others are refused."
    )


class RunAnswer(BaseModel):
    """An answer to what the agent asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "interruptId": "01a1fbec-4a10-7d3e-9a58-64d1f0a2b7c9",
                    "status": "resolved",
                    "payload": {"answer": "approve", "comment": "Both, please."},
                }
            ]
        }
    )

    interrupt_id: str = Field(
        alias="interruptId", description="Of the interrupt with which a run finished."
    )
    status: Literal["resolved", "cancelled"]
    payload: Any = Field(
        None,
        description="As the interrupt's `responseSchema` has it; true and false approve and "
        "reject; a text is an answer.",
    )


class RunRequest(BaseModel):
    """RunAgentInput, as far as it is read: everything else in it is passed over."""

    model_config = ConfigDict(
        json_schema_extra={
            "additionalProperties": True,
            "examples": [
                {
                    "threadId": "groceries",
                    "runId": "run-1",
                    "messages": [
                        {"id": "message-1", "role": "user", "content": "Add task: Buy groceries"}
                    ],
                    "tools": [],
                    "context": [],
                    "state": {},
                    "forwardedProps": {},
                }
            ],
        },
    )

    thread_id: ExternalId = Field(
        alias="threadId",
        description="A conversation by its id, or any text: the first message begins it.",
    )
    run_id: ExternalId = Field(alias="runId", description="Comes back in the events of this run.")
    messages: list[RunMessage] = Field(
        description="Only the last is read, if it is the user's. If there is none that is new, the "
        "history is sent and what is under way is followed."
    )
    resume: list[RunAnswer] | None = Field(None, description="Answers to what the agent asked.")

    @property
    def said(self) -> RunMessage | None:
        """What the user says."""
        last = self.messages[-1] if self.messages else None
        return last if last is not None and last.role == "user" else None


def text_of(said: RunMessage) -> str:
    """What a user's message says, trimmed and checked.

    Raises:
        InvalidRequest: it says nothing, or holds something else than text.
    """
    content = said.content
    if isinstance(content, list):
        content = "\n".join(map(_text_in, content))
    return _checked(_TEXT, content, "messages.content")


def message_id_of(said: RunMessage) -> str:
    """What the client calls its message.

    Raises:
        InvalidRequest: nothing can be called so.
    """
    return _checked(_ID, said.id, "messages.id")


def _text_in(part: object) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    if not isinstance(text, str):
        raise _wrong("messages.content", "may hold parts of the type text only")
    return text


def _checked(adapter: TypeAdapter[str], value: object, field: str) -> str:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise _wrong(field, problem[:1].lower() + problem[1:]) from None


def _wrong(field: str, problem: str) -> InvalidRequest:
    return InvalidRequest(details=[Detail(field, problem)])
