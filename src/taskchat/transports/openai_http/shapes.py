"""What is answered, in the shapes of OpenAI's interfaces.

Fields that are always the same are there because clients expect them, or the Open Responses
specification does; what they say is true of this service.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

MODEL: Final = "taskchat"
"""The one model that there is to ask for: the assistant, whichever models it asks in turn."""

SERVER_LABEL: Final = "taskchat"
"""What the server of the tools is called, which clients can't reach by this name."""

Empty = Annotated[list[Any], Field(max_length=0)]
"""What there is none of here, and clients expect a list of."""

ItemStatus = Literal["in_progress", "completed", "incomplete"]
ResponseStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled"]


class OutputText(BaseModel):
    """A piece of text that the assistant says."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: Empty = []
    logprobs: Empty = []


class OutputMessage(BaseModel):
    """Something that the assistant says: its reply, what it says before a call, or a question."""

    type: Literal["message"] = "message"
    id: str
    status: ItemStatus
    role: Literal["assistant"] = "assistant"
    content: list[OutputText]


class ReasoningText(BaseModel):
    """A piece of what the model thinks aloud."""

    type: Literal["reasoning_text"] = "reasoning_text"
    text: str


class ReasoningItem(BaseModel):
    """What the model thinks aloud, where it does."""

    type: Literal["reasoning"] = "reasoning"
    id: str
    status: ItemStatus
    summary: Empty = []
    content: list[ReasoningText]


class ToolExecutionError(BaseModel):
    """What a tool said that failed."""

    type: Literal["mcp_tool_execution_error"] = "mcp_tool_execution_error"
    content: str


class McpCallItem(BaseModel):
    """A call of one of the service's own tools, which is over."""

    type: Literal["mcp_call"] = "mcp_call"
    id: str
    server_label: str = SERVER_LABEL
    name: str
    arguments: str = Field(description="JSON.")
    status: Literal["completed", "failed"]
    output: str | None = Field(description="JSON; null if it failed.")
    error: ToolExecutionError | None
    approval_request_id: str | None = Field(description="What was asked before it was made.")


class McpApprovalRequest(BaseModel):
    """A call that waits for its user, who says whether it may be made."""

    type: Literal["mcp_approval_request"] = "mcp_approval_request"
    id: str
    server_label: str = SERVER_LABEL
    name: str
    arguments: str = Field(description="JSON.")


OutputItem = Annotated[
    OutputMessage | ReasoningItem | McpCallItem | McpApprovalRequest, Field(discriminator="type")
]


class InputTokensDetails(BaseModel):
    """Nothing is told of caches here; `GET /api/{user_id}/turns/{turn_id}` tells it."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(BaseModel):
    """The same of what models thought aloud."""

    reasoning_tokens: int = 0


class ResponseUsage(BaseModel):
    """Tokens of all model calls, as their vendors count."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseFailure(BaseModel):
    """Why a response failed: `type` is the service's own name for it."""

    code: Literal["server_error"] = "server_error"
    message: str
    type: str


class TextFormat(BaseModel):
    """Replies are text."""

    type: Literal["text"] = "text"


class TextConfig(BaseModel):
    """How replies look."""

    format: TextFormat = TextFormat()


class ConversationRef(BaseModel):
    """The conversation that a response belongs to."""

    id: str


class ResponseResource(BaseModel):
    """A turn, or a part of one, as a response."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: ResponseStatus
    conversation: ConversationRef
    previous_response_id: str | None = Field(description="The response that it follows.")
    model: str = MODEL
    output: list[OutputItem]
    error: ResponseFailure | None = None
    incomplete_details: None = None
    usage: ResponseUsage | None = None
    background: bool = Field(True, description="Each goes on when its client leaves.")
    store: bool = Field(True, description="Each is kept, until its conversation is deleted.")
    instructions: None = None
    tools: Empty = []
    tool_choice: Literal["auto"] = "auto"
    parallel_tool_calls: bool = False
    max_output_tokens: None = None
    max_tool_calls: None = None
    reasoning: None = None
    text: TextConfig = TextConfig()
    truncation: Literal["auto"] = "auto"
    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0
    service_tier: Literal["default"] = "default"
    metadata: dict[str, str] = {}
    safety_identifier: None = None
    prompt_cache_key: None = None


class InputText(BaseModel):
    """A piece of text that the user said."""

    type: Literal["input_text"] = "input_text"
    text: str


class InputMessage(BaseModel):
    """Something that the user said."""

    type: Literal["message"] = "message"
    id: str
    status: ItemStatus = "completed"
    role: Literal["user"] = "user"
    content: list[InputText]


class McpApprovalAnswer(BaseModel):
    """What the user said of a call that waited."""

    type: Literal["mcp_approval_response"] = "mcp_approval_response"
    id: str
    approval_request_id: str
    approve: bool
    reason: str | None


InputItem = Annotated[InputMessage | McpApprovalAnswer, Field(discriminator="type")]


class InputItems(BaseModel):
    """What was said to a response."""

    object: Literal["list"] = "list"
    data: list[InputItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


class CompletionMessage(BaseModel):
    """What the assistant says."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class CompletionChoice(BaseModel):
    """The one reply."""

    index: Literal[0] = 0
    message: CompletionMessage
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class CompletionUsage(BaseModel):
    """Tokens of all model calls, as their vendors count."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """A turn, or a part of one, as a completion."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str = MODEL
    choices: list[CompletionChoice]
    usage: CompletionUsage
    metadata: dict[str, str] = Field(description="`conversation_id`, to go on with.")


class ModelInfo(BaseModel):
    """A model that can be asked for."""

    id: str = MODEL
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "taskchat"


class ModelList(BaseModel):
    """All models that can be asked for."""

    object: Literal["list"] = "list"
    data: list[ModelInfo]


class OpenAIErrorFacts(BaseModel):
    """What is wrong: `message` says what to do, `code` is the service's `error_code`."""

    message: str
    type: str
    param: str | None = Field(description="The parameter that was refused.")
    code: str


class OpenAIError(BaseModel):
    """Every answer under /v1 that is not a success."""

    error: OpenAIErrorFacts


Shown = dict[str, Any]
"""A shape as it is sent."""
