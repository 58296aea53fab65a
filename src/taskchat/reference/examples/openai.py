"""The same turn as clients of OpenAI's interfaces are told of it, by what tells it to them."""

from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel

from taskchat.errors import ModelError, NotFound
from taskchat.http.problems import openai_body
from taskchat.principal import Principal
from taskchat.reference.examples.events import TOLD
from taskchat.reference.examples.story import (
    ASKING_CALL,
    CONVERSATION,
    MESSAGE,
    REPLIED,
    SAID,
    TURN,
)
from taskchat.transports.openai_http import shapes
from taskchat.transports.openai_http.completions import Chunks, completion
from taskchat.transports.openai_http.dialogue import Spoken
from taskchat.transports.openai_http.ids import approval_text
from taskchat.transports.openai_http.narration import Narrator, Told
from taskchat.transports.openai_http.requests import (
    CompletionRequest,
    ConversationName,
    ResponseRequest,
    StreamOptions,
)
from taskchat.transports.openai_http.telling import DONE, sent
from taskchat.turns.events import EventBase, StoredEvent, StreamChunk
from taskchat.turns.states import TurnRef

_TURN: Final = TurnRef(Principal("demo"), TURN, CONVERSATION, 1)


def _heard(narrator: Narrator, events: Iterable[EventBase]) -> list[Told]:
    told: list[Told] = []
    for event in events:
        if isinstance(event, StreamChunk):
            event = event.model_copy(update={"delta": REPLIED})
        stored = StoredEvent(TURN, 1, event.seq, event.type, event.model_dump_json())
        told += narrator.hear(stored)
    return told


_NARRATOR: Final = Narrator(_TURN, 1, None)
_ALL_TOLD: Final = _heard(_NARRATOR, TOLD)
assert _NARRATOR.response is not None  # noqa: S101 - it has been told
RESPONSE: Final = _NARRATOR.response

RESPONSE_STREAM: Final = (b"".join(map(sent, _ALL_TOLD)) + DONE).decode()
"""As a client reads it."""

_SPOKEN: Final = Spoken(_TURN, 1, None, {})
_CHUNKS: Final = Chunks(_NARRATOR, _SPOKEN, with_usage=False)
COMPLETION: Final = completion(RESPONSE, _SPOKEN)
COMPLETION_STREAM: Final = (b"".join(_CHUNKS.encode(_ALL_TOLD)) + DONE).decode()

_REQUEST: Final = shapes.McpApprovalRequest(
    id=approval_text(ASKING_CALL), name="delete_task", arguments='{"task_id":1}'
)
_SAID: Final = shapes.InputMessage(id=f"msg_{MESSAGE.hex}", content=[shapes.InputText(text=SAID)])
_THOUGHT: Final = shapes.ReasoningItem(
    id=f"rs_{TURN.hex}01000",
    status="completed",
    content=[shapes.ReasoningText(text="They want it on the list.")],
)
_CALL, _REPLY = RESPONSE.output
assert isinstance(_REPLY, shapes.OutputMessage)  # noqa: S101 - the story ends so
assert RESPONSE.usage is not None  # noqa: S101 - it is over
_ERROR: Final = shapes.OpenAIError.model_validate(openai_body(NotFound("No response of that id.")))
_MODEL: Final = shapes.ModelInfo()

EXAMPLES: Final[tuple[BaseModel, ...]] = (
    RESPONSE,
    RESPONSE.conversation,
    RESPONSE.text,
    RESPONSE.text.format,
    RESPONSE.usage,
    RESPONSE.usage.input_tokens_details,
    RESPONSE.usage.output_tokens_details,
    _CALL,
    _REPLY,
    *_REPLY.content,
    _REQUEST,
    _THOUGHT,
    *_THOUGHT.content,
    shapes.ToolExecutionError(content="No task 9. Call list_tasks to see the ids."),
    shapes.ResponseFailure(message=ModelError.default, type=ModelError.code),
    _SAID,
    *_SAID.content,
    shapes.McpApprovalAnswer(
        id=f"mcpa_{ASKING_CALL.hex}",
        approval_request_id=_REQUEST.id,
        approve=False,
        reason="That one I still need.",
    ),
    shapes.InputItems(data=[_SAID], first_id=_SAID.id, last_id=_SAID.id, has_more=False),
    COMPLETION,
    COMPLETION.usage,
    *COMPLETION.choices,
    *(choice.message for choice in COMPLETION.choices),
    _MODEL,
    shapes.ModelList(data=[_MODEL]),
    _ERROR,
    _ERROR.error,
    ConversationName(id="groceries"),
    StreamOptions(include_usage=True),
)
"""Of each schema, one."""

BODIES: Final[dict[type[BaseModel], dict[str, Any]]] = {
    ResponseRequest: {"model": shapes.MODEL, "input": SAID, "conversation": "groceries"},
    CompletionRequest: {
        "model": shapes.MODEL,
        "messages": [{"role": "user", "content": SAID}],
        "metadata": {"conversation_id": "groceries"},
    },
}
"""What requests send."""
