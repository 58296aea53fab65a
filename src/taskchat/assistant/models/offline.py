"""The offline model as the Agents SDK sees it: a `Model` without network, state or cost."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

from agents.agent_output import AgentOutputSchemaBase
from agents.handoffs import Handoff
from agents.items import (
    ModelResponse,
    TResponseInputItem,
    TResponseOutputItem,
    TResponseStreamEvent,
)
from agents.model_settings import ModelSettings
from agents.models.interface import Model, ModelTracing
from agents.tool import Tool
from agents.usage import Usage
from openai.types.responses import ResponseFunctionToolCall
from openai.types.responses.response_prompt_param import ResponsePromptParam

from taskchat.assistant.models.digest import digest
from taskchat.assistant.models.telling import message_of, told
from taskchat_offline.plan import next_step


class OfflineModel(Model):
    """Understands plain English about tasks; calls the offered tools like any other model.

    It keeps nothing between calls: the same input always leads to the same step. Its usage is
    one request of no tokens.
    """

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> ModelResponse:
        """The next step of the turn: tool calls or the reply."""
        return ModelResponse(
            output=_output(input, tools),
            usage=Usage(requests=1),
            response_id=f"resp_{uuid4().hex}",
        )

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        *,
        previous_response_id: str | None,
        conversation_id: str | None,
        prompt: ResponsePromptParam | None,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The same step as Responses events, a reply word by word."""
        output = _output(input, tools)
        for event in told(output):
            yield event


def _output(input: str | list[TResponseInputItem], tools: list[Tool]) -> list[TResponseOutputItem]:
    if not tools:
        # Whoever wants something done offers tools; without tools, a summary is wanted.
        said = input if isinstance(input, str) else str(input[-1].get("content", ""))
        return [message_of(digest(said))]
    step = next_step(input, frozenset(tool.name for tool in tools))
    if not step.calls:
        return [message_of(step.reply)]
    return [
        ResponseFunctionToolCall(
            id=f"fc_{uuid4().hex}",
            type="function_call",
            call_id=f"call_{uuid4().hex}",
            name=call.name,
            arguments=json.dumps(call.arguments, ensure_ascii=False),
            status="completed",
        )
        for call in step.calls
    ]
