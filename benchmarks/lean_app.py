"""The leanest turn that can be written: the same libraries and none of the promises.

No fence, no record of the tool call, no order, no key, no limits, no row-level security. It keeps
the user's message before the run and the reply after it, and the tool adds the task.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Annotated, Any

import asyncpg
import jwt
from agents import Agent, Model, OpenAIResponsesModel, RunConfig, Runner
from agents.items import TResponseInputItem
from agents.mcp import MCPServer as AgentsMCPServer
from fastapi import FastAPI, Header, HTTPException
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp.types import CallToolResult, GetPromptResult, ListPromptsResult, Tool
from openai import AsyncOpenAI
from pydantic import BaseModel

from benchmarks.scripted import ScriptedModel

SCHEMA = """
CREATE TABLE conversations (id bigserial PRIMARY KEY, user_id text NOT NULL);
CREATE TABLE messages (
    id bigserial PRIMARY KEY,
    conversation_id bigint NOT NULL REFERENCES conversations,
    role text NOT NULL,
    content text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON messages (conversation_id, id);
CREATE TABLE tasks (id bigserial PRIMARY KEY, user_id text NOT NULL, title text NOT NULL);
"""
HISTORY_MESSAGES = 20

_user: ContextVar[str] = ContextVar("user")
_secret: str
_pool: asyncpg.Pool
_agent: Agent[None]
_run_config = RunConfig(tracing_disabled=True)
_tasks: MCPServer[Any] = MCPServer("tasks", log_level="WARNING")


@_tasks.tool()
async def add_task(title: str) -> dict[str, Any]:
    """Add a task to the list."""
    task_id = await _pool.fetchval(
        "INSERT INTO tasks (user_id, title) VALUES ($1, $2) RETURNING id", _user.get(), title
    )
    return {"task_id": task_id, "status": "created", "title": title}


class Bridge(AgentsMCPServer):
    def __init__(self, client: Client, tools: list[Tool]) -> None:
        super().__init__(use_structured_content=True)
        self._client = client
        self._tools = tools

    @property
    def name(self) -> str:
        return "tasks"

    @property
    def cached_tools(self) -> list[Tool]:
        return self._tools

    async def connect(self) -> None:
        pass

    async def cleanup(self) -> None:
        pass

    async def list_tools(self, run_context: Any = None, agent: Any = None) -> list[Tool]:
        return self._tools

    async def call_tool(
        self,
        tool_name: str,
        arguments: dict[str, Any] | None,
        meta: dict[str, Any] | None = None,
    ) -> CallToolResult:
        return await self._client.call_tool(tool_name, arguments)

    async def list_prompts(self) -> ListPromptsResult:
        return ListPromptsResult(prompts=[])

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None
    ) -> GetPromptResult:
        raise KeyError(name)


async def _as_it_is(_connection: object) -> None:
    """In place of the pool's reset, which would cost a round trip more at every release."""


def _model() -> Model:
    """In the process, or over HTTP if an address is given."""
    if "OPENAI_BASE_URL" in os.environ:
        return OpenAIResponsesModel(os.environ["TASKCHAT_MODEL"], AsyncOpenAI())
    return ScriptedModel()


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    global _secret, _pool, _agent
    _secret = os.environ["TASKCHAT_JWT_SECRET"]
    async with (
        asyncpg.create_pool(os.environ["DATABASE_URL"], reset=_as_it_is) as _pool,
        Client(_tasks) as client,
    ):
        _agent = Agent(
            name="lean",
            instructions="You keep a to-do list.",
            model=_model(),
            mcp_servers=[Bridge(client, (await client.list_tools()).tools)],
        )
        yield


app = FastAPI(lifespan=lifespan)


class Said(BaseModel):
    message: str
    conversation_id: int | None = None


class Answer(BaseModel):
    conversation_id: int
    response: str
    tool_calls: list[str]


@app.post("/api/{user_id}/chat")
async def chat(user_id: str, said: Said, authorization: Annotated[str, Header()]) -> Answer:
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), _secret, algorithms=["HS256"])
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error
    if claims["sub"] != user_id:
        raise HTTPException(403)
    conversation_id, history = said.conversation_id, []
    async with _pool.acquire() as connection, connection.transaction():
        if conversation_id is None:
            conversation_id = await connection.fetchval(
                "INSERT INTO conversations (user_id) VALUES ($1) RETURNING id", user_id
            )
        else:
            history = await connection.fetch(
                "SELECT role, content FROM messages JOIN conversations ON"
                " conversations.id = conversation_id WHERE conversation_id = $1 AND user_id = $2"
                " ORDER BY messages.id DESC LIMIT $3",
                conversation_id,
                user_id,
                HISTORY_MESSAGES,
            )
            if not history:
                raise HTTPException(404)
        await connection.execute(
            "INSERT INTO messages (conversation_id, role, content) VALUES ($1, 'user', $2)",
            conversation_id,
            said.message,
        )
    items: list[TResponseInputItem] = [
        {"role": row["role"], "content": row["content"]} for row in reversed(history)
    ]
    items.append({"role": "user", "content": said.message})
    _user.set(user_id)
    result = await Runner.run(_agent, items, run_config=_run_config)
    await _pool.execute(
        "INSERT INTO messages (conversation_id, role, content) VALUES ($1, 'assistant', $2)",
        conversation_id,
        result.final_output,
    )
    return Answer(
        conversation_id=conversation_id,
        response=result.final_output,
        tool_calls=[
            item.tool_name or "" for item in result.new_items if item.type == "tool_call_item"
        ],
    )
