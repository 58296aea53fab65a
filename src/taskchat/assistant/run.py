"""One run of the agent: the SDK's loop within our limits, its errors turned into ours."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents import (
    Agent,
    FunctionTool,
    ModelSettings,
    RunConfig,
    RunContextWrapper,
    Runner,
    Tool,
)
from agents.exceptions import AgentsException, MaxTurnsExceeded
from agents.run_config import ToolErrorFormatterArgs, ToolExecutionConfig
from agents.tool_context import ToolContext

from taskchat.assistant.approvals import ApprovalRule, needing_approval
from taskchat.assistant.instructions import AgentConfig
from taskchat.assistant.mcp_bridge import TaskServerBridge
from taskchat.assistant.models.asking import NamedModel
from taskchat.assistant.models.chain import ModelChain
from taskchat.assistant.models.offline import OfflineModel
from taskchat.assistant.models.soundness import arguments_in
from taskchat.assistant.prompt import PromptFacts, build_prompt, wants_open_tasks
from taskchat.assistant.record import ModelRecord, RunRecord, models_recorded_in, recorded_in
from taskchat.assistant.traced import of_agent
from taskchat.conversations.history import InputItem
from taskchat.errors import ModelError, RunTimeout
from taskchat.feedback.decisions import question_about
from taskchat.settings import Settings
from taskchat.tasks.tools import no_such_tool
from taskchat.telemetry.traces import span
from taskchat.texts import is_visible
from taskchat.time_limits import time_limit


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A tool call that a model decided on and nobody has executed."""

    call_id: str
    tool_name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a run has to be given besides its own message.

    Attributes:
        history_turns_max: The most turns of history.
        history_tokens_max: The budget of the history, in model tokens.
        bytes_per_token: How the model that is asked counts tokens.
        open_tasks: Whether to give the number of open tasks.
        summary: Whether to give a summary of what fell out of the history.
    """

    history_turns_max: int
    history_tokens_max: int
    bytes_per_token: float
    open_tasks: bool
    summary: bool


class TaskAgent(Agent[str]):
    """An agent whose tools never change, so that they are made for the model once, not per call.

    Its instructions are the context of its run.
    """

    _tools: list[Tool] | None = None

    async def get_system_prompt(self, run_context: RunContextWrapper[str]) -> str | None:
        """The instructions, built once before the run; the SDK asks at every model call."""
        return run_context.context

    async def get_mcp_tools(self, run_context: RunContextWrapper[str]) -> list[Tool]:
        """The bridge's tools, as the SDK offers them to a model."""
        if self._tools is None:
            self._tools = await super().get_mcp_tools(run_context)
            for tool in self._tools:
                if isinstance(tool, FunctionTool):
                    tool.on_invoke_tool = _reading_arguments(tool.on_invoke_tool)
        return list(self._tools)


Invoke = Callable[[ToolContext[Any], str], Awaitable[Any]]


def _reading_arguments(invoke: Invoke) -> Invoke:
    """The same call, with arguments read as vendors write them: none as nothing or as null."""

    async def invoked(context: ToolContext[Any], arguments: str) -> Any:
        found = arguments_in(arguments)
        return await invoke(context, arguments if found is None else json.dumps(found))

    return invoked


@dataclass(frozen=True, slots=True)
class _Configured:
    """What follows from one reading of the configuration, so that a run never mixes two.

    Attributes:
        config: The file, as it was read.
        open_tasks: Whether its instructions want the number of open tasks.
        agent: The agent, with its tools.
        writer: The agent that writes about conversations, without tools.
    """

    config: AgentConfig
    open_tasks: bool
    agent: Agent[str]
    writer: Agent[str]


class Assistant:
    """The agent, its models and its tools, built once.

    Args:
        settings: Limits.
        config: The agent's configuration.
        models: In order of preference.
        bridge: The connection to the task server.
    """

    def __init__(
        self,
        settings: Settings,
        config: AgentConfig,
        models: Sequence[NamedModel],
        bridge: TaskServerBridge,
    ) -> None:
        self._settings = settings
        self._bridge = bridge
        self._chain = ModelChain(models, settings)
        self._run_config = RunConfig(
            # Traces would send what people wrote to the vendor.
            tracing_disabled=True,
            tool_not_found_behavior="return_error_to_model",
            tool_error_formatter=_told_of_a_tool,
            # One after another, so that “add A and B” numbers them in that order.
            tool_execution=ToolExecutionConfig(max_function_tool_concurrency=1),
        )
        self.configure(config)

    def configure(self, config: AgentConfig) -> None:
        """Use another configuration from the next run on."""
        # Complete, because what the run's configuration adds is merged anew at every model call.
        agent = TaskAgent(
            name=config.name,
            model=self._chain,
            model_settings=ModelSettings(**config.model.settings).resolve(self._chain.settings),
        )
        bridge = self._bridge.offering(config.tools.allowed)
        self._configured = _Configured(
            config, wants_open_tasks(config), agent.clone(mcp_servers=[bridge]), agent
        )

    @property
    def allowed_tools(self) -> Sequence[str]:
        """The names of the tools that the configuration allows."""
        return self._configured.config.tools.allowed

    @property
    def approvals(self) -> Sequence[ApprovalRule]:
        """Which calls need the user's yes."""
        return self._configured.config.approvals

    def question_about(self, tool_name: str, arguments: Mapping[str, Any]) -> str | None:
        """What a client of the tool server is to ask its user before a single call, if anything."""
        if not needing_approval(self.approvals, [], [("", tool_name, arguments)]):
            return None
        return question_about([(tool_name, arguments, None)])

    @property
    def needs(self) -> Needs:
        """What a run needs besides its own message."""
        limits, config = self._settings, self._configured.config
        return Needs(
            history_turns_max=min(limits.history_turns_max, config.history.turns_max),
            history_tokens_max=min(limits.history_tokens_max, config.history.tokens_max),
            bytes_per_token=self._chain.bytes_per_token,
            open_tasks=self._configured.open_tasks,
            summary=limits.history_summary,
        )

    async def reply(
        self,
        items: list[InputItem],
        record: RunRecord,
        facts: PromptFacts,
        *,
        pending: Sequence[PendingCall] = (),
        model_calls_max: int,
    ) -> str:
        """Run the agent until it has a reply.

        Args:
            items: The user's message, and what an earlier attempt has on record.
            record: Holds the history; answers and tool calls are kept there.
            facts: What the instructions are made of.
            pending: Calls to execute before the model is asked again; their outputs are not yet
                among the items.
            model_calls_max: How often the model may still be asked.

        Returns:
            The assistant's text.

        Raises:
            ModelError: no model answered, or the run took too many calls.
            RunTimeout: a model attempt, or the run, took too long.
            DatabaseError: a tool could not reach the database.
            AwaitsUser: the user has to be asked first.
        """
        name = self._configured.config.name
        with recorded_in(record), span(f"invoke_agent {name}", of_agent(name)):
            try:
                async with time_limit(self._settings.run_timeout_s):
                    with self._chain.running(record.answers):
                        return await self._run(items, facts, pending, model_calls_max)
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
        facts: PromptFacts,
        pending: Sequence[PendingCall],
        model_calls_max: int,
    ) -> str:
        configured = self._configured
        for call in pending:
            items.append(await self._bridge.execute(call.call_id, call.tool_name, call.arguments))
        result = await Runner.run(
            configured.agent,
            items,  # type: ignore[arg-type] # our items are the SDK's, as plain dicts
            context=build_prompt(configured.config, facts),
            max_turns=model_calls_max,
            run_config=self._run_config,
        )
        reply = str(result.final_output or "").strip()
        if not is_visible(reply):
            raise ModelError("The language model answered nothing; send the message again.")
        return reply

    async def rehearse(self, message: str, record: RunRecord) -> str:
        """Run with the offline model in place of the chain, whose answers are not recorded.

        Args:
            message: What the user says.
            record: Where tool calls are kept.
        """
        with recorded_in(record):
            result = await Runner.run(
                self._configured.agent,
                message,
                context="",
                run_config=replace(self._run_config, model=OfflineModel()),
            )
        return str(result.final_output)

    async def summarise(self, text: str, record: ModelRecord) -> str:
        """Summarise what was said.

        Args:
            text: A part of a conversation, and the summary of the part before it.
            record: Where the answer is noted.

        Raises:
            ServiceError: no model answered, or none in time.
        """
        instructions = self._configured.config.history.summary.instructions
        return await self._write(instructions, text, record)

    async def entitle(self, text: str, record: ModelRecord) -> str:
        """Name a conversation.

        Args:
            text: Its beginning.
            record: Where the answer is noted.

        Raises:
            ServiceError: no model answered, or none in time.
        """
        return await self._write(self._configured.config.title.instructions, text, record)

    async def _write(self, instructions: str, text: str, record: ModelRecord) -> str:
        """Have a model write something about a text, without tools."""
        with models_recorded_in(record):
            try:
                async with time_limit(self._settings.run_timeout_s):
                    with self._chain.running(record.answers):
                        result = await Runner.run(
                            self._configured.writer,
                            text,
                            context=instructions,
                            max_turns=1,
                            run_config=self._run_config,
                        )
            except (TimeoutError, AgentsException) as error:
                raise ModelError from error
        return str(result.final_output).strip()


def _told_of_a_tool(error: ToolErrorFormatterArgs[Any]) -> str | None:
    return no_such_tool(error.tool_name) if error.kind == "tool_not_found" else None
