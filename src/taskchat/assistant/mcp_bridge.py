"""The agent's door to the task server: the SDK's idea of an MCP server over the real protocol.

One bridge, one client and one server live as long as the app. Which turn a call belongs to is
bound around the run, so that concurrent runs share the bridge and never each other's identity.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final, cast

from agents.mcp import MCPServer as AgentsMCPServer
from agents.mcp.util import MCPToolMetaContext
from agents.run_context import RunContextWrapper
from agents.tool_context import ToolContext
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.types import (
    CallToolResult,
    GetPromptResult,
    ListPromptsResult,
    RequestParamsMeta,
    TextContent,
    Tool,
)

from taskchat.assistant.asking_user import ASK_USER, problem_with
from taskchat.assistant.record import RecordedCall, RunRecord, run_record
from taskchat.assistant.traced import of_tool
from taskchat.conversations.history import InputItem, call_output
from taskchat.errors import DatabaseError
from taskchat.tasks.calling import calling_as
from taskchat.tasks.tools import no_such_tool
from taskchat.telemetry.timing import spending
from taskchat.telemetry.traces import span
from taskchat.time_limits import time_limit

CALL_ID: Final = "taskchat/call_id"
"""Key of the model's call id in a request's `_meta`."""


def _call_meta(context: MCPToolMetaContext) -> dict[str, Any]:
    run_context = context.run_context
    assert isinstance(run_context, ToolContext)  # noqa: S101 - the SDK's contract
    return {CALL_ID: run_context.tool_call_id}


def _failure_text(_context: RunContextWrapper[Any], error: Exception) -> str:
    """What the model reads when a call never reached a tool, such as arguments that aren't JSON."""
    broken = run_record().broken
    if broken is not None:
        # Nothing that the model could say would help, so end the run.
        raise broken
    return f"The call could not be read: {error}. Call the tool again with valid JSON arguments."


class TaskServerBridge(AgentsMCPServer):
    """The task server as the Agents SDK sees it.

    Args:
        client: A client that is connected to the task server in this process.
        tools: What a model sees, by name. Fetched once, because the SDK asks at every model call.
        tool_timeout_s: The longest one call may take.
    """

    def __init__(self, client: Client, tools: Mapping[str, Tool], *, tool_timeout_s: float) -> None:
        super().__init__(
            use_structured_content=True,
            tool_meta_resolver=_call_meta,
            failure_error_function=_failure_text,
        )
        self._client = client
        self._tools = tools
        self._tool_timeout_s = tool_timeout_s

    def offering(self, allowed: Iterable[str]) -> "TaskServerBridge":
        """The same bridge, offering a model only these tools."""
        tools = {name: self._tools[name] for name in allowed}
        return TaskServerBridge(self._client, tools, tool_timeout_s=self._tool_timeout_s)

    @property
    def name(self) -> str:
        """The server's name, for the SDK's traces."""
        return "taskchat"

    @property
    def cached_tools(self) -> list[Tool]:
        """What the server offers."""
        return list(self._tools.values())

    async def connect(self) -> None:
        """Nothing to do: the client was connected by `task_server_bridge`."""

    async def cleanup(self) -> None:
        """Nothing to do: the client is closed by `task_server_bridge`."""

    async def list_tools(
        self, run_context: RunContextWrapper[Any] | None = None, agent: Any = None
    ) -> list[Tool]:
        """The tools, from memory."""
        return self.cached_tools

    async def call_tool(
        self,
        tool_name: str,
        arguments: dict[str, Any] | None,
        meta: dict[str, Any] | None = None,
    ) -> CallToolResult:
        """Call a tool for the current turn, and make sure that the outcome is recorded.

        Raises:
            DatabaseError: the call could not be made at all.
            AwaitsUser: the user has to be asked first.
        """
        record = run_record()
        call_id = (meta or {})[CALL_ID]
        try:
            _check_sound(record)
            with (
                span(f"execute_tool {tool_name}", of_tool(tool_name, call_id)) as traced,
                spending("tool"),
            ):
                call = record.call(call_id, tool_name, arguments or {})
                traced.content(lambda: {"gen_ai.tool.call.arguments": dict(call.arguments)})
                with calling_as(call):
                    async with time_limit(self._tool_timeout_s):
                        result = await self._result_of(call, tool_name, meta)
                        if record.broken is None and not call.recorded:
                            await call.record_refusal(_text(result))
                if result.is_error:
                    traced.fail("refused")
                traced.content(lambda: {"gen_ai.tool.call.result": result.structured_content})
        except TimeoutError as error:
            record.broken = DatabaseError(retry_after_s=1)
            raise record.broken from error
        except Exception as error:
            record.broken = record.broken or error
            raise
        _check_sound(record)
        return result

    async def _result_of(
        self, call: RecordedCall, tool_name: str, meta: dict[str, Any] | None
    ) -> CallToolResult:
        """What a call comes to: what the task server says, or what its user said in its place."""
        decision = call.decision
        refusal = decision.refusal if decision else None
        if tool_name == ASK_USER.name:
            refusal = refusal or problem_with(call.arguments)
        if refusal is not None:
            return CallToolResult(content=[TextContent(text=refusal)], is_error=True)
        if decision is not None and decision.answer == "answer":
            answer = {"answer": decision.text}
            await call.record_result(answer)
            return CallToolResult(content=[], structured_content=answer)
        return await self._client.call_tool(
            tool_name, dict(call.arguments), meta=cast(RequestParamsMeta, meta)
        )

    async def execute(self, call_id: str, tool_name: str, arguments: dict[str, Any]) -> InputItem:
        """Run a call that a model decided on before its process died, under its old id.

        Returns:
            The call's output item, as the run itself would have made it.

        Raises:
            DatabaseError: the call could not be made at all.
            AwaitsUser: the user has to be asked first.
        """
        if tool_name not in self._tools:
            # As in a run, a call that names no tool is reported to the model and not recorded.
            output = no_such_tool(tool_name)
            return {"type": "function_call_output", "call_id": call_id, "output": output}
        result = await self.call_tool(tool_name, arguments, {CALL_ID: call_id})
        decision = run_record().decisions.get(call_id)
        output = (
            _text(result)
            if result.is_error
            else call_output(
                result.structured_content or {},
                "completed",
                note=decision.note if decision else None,
            )
        )
        return {"type": "function_call_output", "call_id": call_id, "output": output}

    async def list_prompts(self) -> ListPromptsResult:
        """None: the instructions are the agent's."""
        return ListPromptsResult(prompts=[])

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None
    ) -> GetPromptResult:
        """There are none.

        Raises:
            KeyError: always.
        """
        raise KeyError(name)


def _check_sound(record: RunRecord) -> None:
    """Raise what makes going on pointless."""
    if record.broken is not None:
        raise record.broken


def _text(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if part.type == "text")


@contextlib.asynccontextmanager
async def task_server_bridge(
    server: MCPServer[Any], *, tool_timeout_s: float
) -> AsyncIterator[TaskServerBridge]:
    """Connect to the task server in this process, for as long as the app lives.

    Args:
        server: The one server object.
        tool_timeout_s: The longest one call may take.
    """
    async with Client(server) as client:
        offered = {tool.name: tool for tool in (await client.list_tools()).tools}
        offered[ASK_USER.name] = ASK_USER
        yield TaskServerBridge(client, offered, tool_timeout_s=tool_timeout_s)
