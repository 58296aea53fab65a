"""One run of the agent: the SDK's loop within our limits, its errors turned into ours."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents import Agent, ModelSettings, RunConfig, RunContextWrapper, Runner, Tool
from agents.exceptions import AgentsException, MaxTurnsExceeded
from agents.run_config import ToolExecutionConfig

from taskchat.assistant.asking import NamedModel
from taskchat.assistant.chain import ModelChain
from taskchat.assistant.instructions import AgentConfig
from taskchat.assistant.mcp_bridge import TaskServerBridge
from taskchat.assistant.record import RunRecord, recorded_in
from taskchat.conversations.history import InputItem
from taskchat.errors import ModelError, RunTimeout
from taskchat.moments import utc_now
from taskchat.settings import Settings
from taskchat.texts import is_visible


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A tool call that a model decided on and nobody has executed."""

    call_id: str
    tool_name: str
    arguments: dict[str, Any]


class TaskAgent(Agent[None]):
    """An agent whose tools never change: they are converted for the model once, not per call."""

    _tools: list[Tool] | None = None

    async def get_mcp_tools(self, run_context: RunContextWrapper[None]) -> list[Tool]:
        """The bridge's tools, as the SDK offers them to a model."""
        if self._tools is None:
            self._tools = await super().get_mcp_tools(run_context)
        return list(self._tools)


class Assistant:
    """The agent, its models and its tools, built once.

    Args:
        settings: Limits.
        config: The agent's configuration.
        chain: Models in order of preference.
        bridge: The door to the task server.
    """

    def __init__(
        self,
        settings: Settings,
        config: AgentConfig,
        chain: Sequence[NamedModel],
        bridge: TaskServerBridge,
    ) -> None:
        self._settings = settings
        self._bridge = bridge
        self._chain = ModelChain(chain, settings)
        self._run_config = RunConfig(
            model=self._chain,
            model_settings=self._chain.settings,
            # Traces would carry what people wrote to the vendor.
            tracing_disabled=True,
            tool_not_found_behavior="return_error_to_model",
            # One after another, so that “add A and B” numbers them in that order.
            tool_execution=ToolExecutionConfig(max_function_tool_concurrency=1),
        )
        self._agent = TaskAgent(
            name=config.name,
            instructions=lambda _context, _agent: config.system_prompt(utc_now().date()),
            mcp_servers=[bridge],
            model_settings=ModelSettings(**config.model.settings),
        )

    async def reply(
        self,
        items: list[InputItem],
        record: RunRecord,
        *,
        pending: Sequence[PendingCall] = (),
        model_calls_max: int,
    ) -> str:
        """Run the agent until it has a reply.

        Args:
            items: The user's message, and what an earlier attempt has on record.
            record: Holds the history; answers and tool calls are kept there.
            pending: Calls to execute before the model is asked again; their outputs are not yet
                among the items.
            model_calls_max: How often the model may still be asked.

        Returns:
            The assistant's text.

        Raises:
            ModelError: no model answered, or it took too many calls.
            RunTimeout: a model attempt, or the run, took too long.
            DatabaseError: a tool could not reach the database.
        """
        with recorded_in(record):
            try:
                async with asyncio.timeout(self._settings.run_timeout_s):
                    with self._chain.running(record.answers):
                        return await self._run(items, pending, model_calls_max)
            except TimeoutError as error:
                raise RunTimeout() from error
            except MaxTurnsExceeded as error:
                raise ModelError(
                    "The language model lost its way: it wanted more calls than one message may "
                    "take. Your message is kept; ask for less at once."
                ) from error
            except AgentsException as error:
                if record.broken is not None:
                    raise record.broken from error
                raise ModelError() from error

    async def _run(
        self,
        items: list[InputItem],
        pending: Sequence[PendingCall],
        model_calls_max: int,
    ) -> str:
        for call in pending:
            items.append(await self._bridge.execute(call.call_id, call.tool_name, call.arguments))
        result = await Runner.run(
            self._agent,
            items,  # type: ignore[arg-type] # our items are the SDK's, as plain dicts
            max_turns=model_calls_max,
            run_config=self._run_config,
        )
        reply = str(result.final_output or "").strip()
        if not is_visible(reply):
            raise ModelError("The language model answered nothing; send the message again.")
        return reply
