"""The composition root: what the app is made of, and how long each part lives."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import structlog
from fastapi import FastAPI

from taskchat import health, problems
from taskchat.assistant.instructions import AgentConfig, load_agent_config
from taskchat.assistant.mcp_bridge import task_server_bridge
from taskchat.assistant.models import NamedModel, model_names, open_chain
from taskchat.assistant.run import Assistant
from taskchat.auth.dependencies import Authenticator
from taskchat.auth.tokens import TokenVerifier
from taskchat.conversations import routes as conversation_routes
from taskchat.db import Database
from taskchat.middleware import RequestGate
from taskchat.moments import new_id
from taskchat.openapi import document
from taskchat.settings import Settings
from taskchat.signals import drained_on_signals
from taskchat.tasks import routes as task_routes
from taskchat.tasks.tools import TaskServer
from taskchat.turns import routes as turn_routes
from taskchat.turns.deps import TurnDeps
from taskchat.turns.jobs import TurnJobs
from taskchat.turns.lease import lease_jobs, release_leases
from taskchat.turns.wakeups import Wakeups

log = structlog.get_logger()

DESCRIPTION = """A stateless chat API for a to-do list. `POST /api/{user_id}/chat` takes a message
and answers with what the assistant said and the tool calls that it made."""


def create_app(settings: Settings, *, chain: Sequence[NamedModel] | None = None) -> FastAPI:
    """The application.

    Args:
        settings: Built once; `DATABASE_URL` must be among them by the time the app starts.
        chain: Models to use in place of the configured ones: the boundary for fakes in tests.
    """
    config = load_agent_config(settings)
    names = model_names(settings, config) if chain is None else [named.name for named in chain]
    app = FastAPI(
        title="taskchat",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=_lifespan(settings, config, names, chain),
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(RequestGate, settings=settings)
    problems.install(app)
    document(app)
    app.include_router(turn_routes.router)
    app.include_router(conversation_routes.router)
    app.include_router(task_routes.router)
    app.include_router(health.router)
    return app


def _lifespan(
    settings: Settings,
    config: AgentConfig,
    names: Sequence[str],
    chain: Sequence[NamedModel] | None,
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # The commands see to it.
        assert settings.database_url is not None  # noqa: S101
        assert settings.direct_url is not None  # noqa: S101
        async with contextlib.AsyncExitStack() as stack:
            database = Database(settings.database_url.get_secret_value(), settings)
            stack.push_async_callback(database.close)
            verifier = TokenVerifier(settings)
            stack.push_async_callback(verifier.close)
            bridge = await stack.enter_async_context(
                task_server_bridge(
                    TaskServer(),
                    config.tools.allowed,
                    tool_timeout_s=settings.tool_timeout_s,
                )
            )
            models = chain
            if models is None:
                models = await stack.enter_async_context(open_chain(names, settings))
            wakeups = Wakeups(settings.direct_url.get_secret_value())
            turns = TurnDeps(
                process=new_id(),
                database=database,
                assistant=Assistant(settings, config, models, bridge),
                settings=settings,
                wakeups=wakeups,
                jobs=TurnJobs(),
                history_tokens_max=min(settings.history_tokens_max, config.history.tokens_max),
                history_turns_max=min(settings.history_turns_max, config.history.turns_max),
            )
            app.state.database = database
            app.state.authenticator = Authenticator(verifier, database)
            app.state.turns = turns
            await stack.enter_async_context(_turns_at_work(turns))
            stack.enter_context(drained_on_signals(lambda: drain(turns)))
            log.info("app.started", models=names)
            yield
        log.info("app.stopped")

    return lifespan


@contextlib.asynccontextmanager
async def _turns_at_work(turns: TurnDeps) -> AsyncIterator[None]:
    """Leases and wake-ups while the app lives; at its end, what runs is finished or handed over."""
    turns.wakeups.on_over(turns.jobs.turn_over)
    turns.wakeups.start()
    leases = lease_jobs(turns)
    try:
        yield
    finally:
        await drain(turns)
        for job in leases:
            job.cancel()
        await asyncio.gather(*leases, return_exceptions=True)
        await turns.wakeups.close()


async def drain(turns: TurnDeps) -> None:
    """Take no more turns, finish what runs in bounded time, hand the rest over. Idempotent."""
    left = await turns.jobs.drain(timeout_s=turns.settings.drain_timeout_s)
    with contextlib.suppress(Exception):
        # Without it the leases run out by themselves: later, not never.
        await release_leases(turns)
    if left:
        log.warning("app.handed_over", turns=left)
