"""What clients of OpenAI's interfaces send, and what of it is read.

Of a list of messages the last one of the user's counts: the history is here. What would change what
an answer is, and can't be had, is refused by name; what only colours it is passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic import ValidationError as Invalid

from taskchat.errors import Detail, InvalidRequest, NotFound
from taskchat.external_ids.ids import ExternalId
from taskchat.texts import is_storable
from taskchat.transports.openai_http.ids import call_of
from taskchat.transports.openai_http.shapes import MODEL
from taskchat.turns.schemas import MessageText

Item = dict[str, object]

PASSED_OVER: Final = frozenset(
    {
        "access_programs",
        "frequency_penalty",
        "include",
        "instructions",
        "logit_bias",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "max_tool_calls",
        "metadata",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "reasoning_effort",
        "safety_identifier",
        "seed",
        "service_tier",
        "store",
        "temperature",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
        "verbosity",
    }
)
"""Taken and not read: how a reply is written, what it is filed under."""

HARMLESS: Final[Mapping[str, Sequence[object]]] = {
    "audio": (),
    "context_management": ([],),
    "function_call": ("auto", "none"),
    "functions": ([],),
    "image": (),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "n": (1,),
    "prompt": (),
    "response_format": ({"type": "text"},),
    "stop": ([],),
    "tool_choice": ("auto",),
    "tools": ([],),
    "web_search_options": (),
}
"""What can't be had here, with the values that ask for nothing, as null does."""


class ConversationName(BaseModel):
    """A conversation, as OpenAI's clients may name it."""

    model_config = ConfigDict(extra="forbid")

    id: ExternalId


class StreamOptions(BaseModel):
    """How a stream looks."""

    model_config = ConfigDict(extra="forbid")

    include_usage: bool | None = Field(None, description="Of completions: a last chunk with it.")
    include_obfuscation: bool | None = Field(None, description="Not read.")


class _Asked(BaseModel):
    """What both requests have."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "description": "Other parameters of OpenAI's are passed over, or refused by name: "
            "docs/openai.md lists which.",
        },
    )

    stream: bool | None = None
    stream_options: StreamOptions | None = None


def _storable(text: str) -> str:
    if not is_storable(text):
        raise ValueError("must not contain NUL or unpaired surrogates")
    return text


Plain = Annotated[str, AfterValidator(_storable)]


class ResponseRequest(_Asked):
    """What POST /v1/responses takes."""

    model: Plain | None = Field(None, description=f"`{MODEL}`.")
    input: Plain | list[Item] = Field(description="A text, or items; see docs/openai.md.")
    background: bool | None = Field(None, description="Whether to answer at once.")
    previous_response_id: Plain | None = None
    conversation: ExternalId | ConversationName | None = Field(
        None, description="One of yours, or any name: the first message begins it."
    )
    store: bool | None = Field(None, description="Not false: all is kept.")
    text: Item | None = Field(None, description="Replies are plain text.")

    @property
    def conversation_name(self) -> str | None:
        """What the conversation is called, if it is named."""
        named = self.conversation
        return named.id if isinstance(named, ConversationName) else named


class CompletionRequest(_Asked):
    """What POST /v1/chat/completions takes."""

    model: Plain = Field(description=f"`{MODEL}`.")
    messages: list[Item] = Field(description="The last one of the user's is read.")
    metadata: dict[str, str] | None = Field(
        None, description="`conversation_id`: one of yours, or any name."
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """What the user says of a call that waits.

    Attributes:
        call_id: The call.
        approve: Whether it may be made.
        reason: What the model is told besides.
    """

    call_id: UUID
    approve: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Input:
    """What is said.

    Attributes:
        text: The last message of the user's; None if there is none.
        decisions: What they say of calls that wait.
        has_history: Whether replies stand among the messages.
        param: The parameter that it was sent as.
    """

    text: str | None
    decisions: Sequence[Decision]
    has_history: bool
    param: str


def refused(param: str, problem: str) -> InvalidRequest:
    """A parameter that is refused by its name."""
    return InvalidRequest(f"“{param}” {problem}.", details=[Detail(param, problem)])


def check(body: ResponseRequest | CompletionRequest) -> None:
    """Refuse what can't be had.

    Raises:
        InvalidRequest: a parameter that is not known, or asks for what there is not.
        NotFound: another model than the one that there is.
    """
    if body.model is not None and body.model != MODEL:
        raise NotFound(
            f"There is one model here: {MODEL}.", details=[Detail("model", f"is not {MODEL}")]
        )
    for name, value in (body.model_extra or {}).items():
        if name in PASSED_OVER or value is None:
            continue
        if name not in HARMLESS:
            # Its name is the caller's text, and is not repeated.
            raise InvalidRequest(
                "There is a parameter that is not known here.",
                details=[Detail("body", "has a key that is not part of the contract")],
            )
        if value not in HARMLESS[name]:
            raise refused(name, "can't be had here: the assistant has tools and a form of its own")
    if isinstance(body, ResponseRequest):
        if body.store is False:
            raise refused("store", "can't be false: what is said is kept")
        if body.text and body.text.get("format", {"type": "text"}) != {"type": "text"}:
            raise refused("text.format", "can't be had here: replies are plain text")
        if body.previous_response_id is not None and body.conversation is not None:
            raise refused("previous_response_id", "can't stand beside conversation")


def read_input(value: str | Sequence[Item], param: str) -> Input:
    """What is said in a text, in items, or in messages.

    Args:
        value: What was sent.
        param: The parameter that it was sent as.

    Raises:
        InvalidRequest: it can't be read.
    """
    if isinstance(value, str):
        return Input(_message(value, param), (), False, param)
    last: tuple[int, Item] | None = None
    has_history = False
    decisions: list[Decision] = []
    for place, item in enumerate(value):
        match item.get("type", "message"):
            case "message" if item.get("role") == "user":
                if decisions and not has_history:
                    raise refused(f"{param}.{place}", "can't stand behind an approval response")
                # What was decided before it is part of the history.
                last = place, item
                decisions.clear()
            case "message" if item.get("role") in ("system", "developer"):
                pass
            case "mcp_approval_response":
                decisions.append(_decision(item, f"{param}.{place}"))
            case "function_call_output" | "custom_tool_call_output":
                raise refused(f"{param}.{place}", "answers a call that this service did not make")
            case "message" if item.get("role") in ("assistant", "tool", "function"):
                has_history = True
            case str(type_) if type_ != "message":
                has_history = True
            case _:
                raise refused(f"{param}.{place}", "has no role that is known")
    text = (
        None
        if last is None or decisions
        else _message(_text_of(last[1], f"{param}.{last[0]}"), param)
    )
    if text is None and not decisions:
        raise refused(param, "has no message of the user's")
    return Input(text, decisions, has_history, param)


def _decision(item: Item, where: str) -> Decision:
    asked, approve, reason = item.get("approval_request_id"), item.get("approve"), None
    call_id = call_of(asked) if isinstance(asked, str) else None
    if call_id is None or not isinstance(approve, bool):
        raise refused(where, "must have an approval_request_id of ours, and approve as a boolean")
    if item.get("reason") is not None:
        reason = _read(_MESSAGE, item["reason"], f"{where}.reason")
    return Decision(call_id, approve, reason)


def _text_of(item: Item, where: str) -> object:
    """The text of a message, whose parts are put together."""
    content = item.get("content")
    if not isinstance(content, list):
        return content
    texts: list[str] = []
    for place, part in enumerate(content):
        text = part.get("text") if isinstance(part, dict) else None
        type_ = part.get("type") if isinstance(part, dict) else None
        if type_ not in ("input_text", "text") or not isinstance(text, str):
            raise refused(
                f"{where}.content.{place}", "is no text; the assistant reads nothing else"
            )
        texts.append(text)
    return "\n".join(texts)


_MESSAGE: Final[TypeAdapter[str]] = TypeAdapter(MessageText)
_NAME: Final[TypeAdapter[str]] = TypeAdapter(ExternalId)
Read = TypeVar("Read")


def _message(value: object, param: str) -> str:
    return _read(_MESSAGE, value, param)


def read_name(value: str, param: str) -> str:
    """What a client calls a conversation.

    Raises:
        InvalidRequest: nothing can be called so.
    """
    return _read(_NAME, value, param)


def _read(adapter: TypeAdapter[Read], value: object, param: str) -> Read:
    try:
        return adapter.validate_python(value)
    except Invalid as error:
        problem = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise refused(param, problem[:1].lower() + problem[1:]) from None
