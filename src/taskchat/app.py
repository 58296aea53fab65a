"""The composition root: what the app is made of, and how long each part lives."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from uuid import UUID

import structlog
from fastapi import FastAPI

from taskchat import __version__
from taskchat.accounts import routes as account_routes
from taskchat.accounts.service import account_deps
from taskchat.assistant.embedding import Embedder
from taskchat.assistant.instructions import AgentConfig, load_agent_config
from taskchat.assistant.mcp_bridge import task_server_bridge
from taskchat.assistant.models.asking import NamedModel
from taskchat.assistant.models.names import model_names, open_models
from taskchat.assistant.reloading import LOOK_S, ConfigFile
from taskchat.assistant.run import Assistant
from taskchat.auth.dependencies import Authenticator
from taskchat.auth.keys import FRESH_S, KeyRing
from taskchat.auth.tokens import TokenVerifier
from taskchat.conversations import routes as conversation_routes
from taskchat.conversations.repository import SESSIONS_CHANNEL
from taskchat.embeddings.making import EVERY_S as EMBEDDING_S
from taskchat.embeddings.making import EmbeddingMaker
from taskchat.housekeeping.chores import chores_of
from taskchat.housekeeping.keeper import LOOKS_AN_INTERVAL, Keeper
from taskchat.http import health, problems
from taskchat.http.crowds import Crowds
from taskchat.http.dependencies import provide
from taskchat.http.gate import RequestGate
from taskchat.http.health import Readiness
from taskchat.limits import routes as limit_routes
from taskchat.limits.buckets import RateLimits
from taskchat.live.feed import Feed
from taskchat.moments import new_id
from taskchat.openapi import document
from taskchat.page.routes import page_router
from taskchat.periodic import every
from taskchat.portability import routes as portability_routes
from taskchat.portability.forgetting import user_forgotten
from taskchat.portability.store.delete import FORGOTTEN_CHANNEL
from taskchat.postgres.database import Database
from taskchat.postgres.listener import Listener
from taskchat.presence.repository import EVENTS_CHANNEL, PLACES_CHANNEL
from taskchat.presence.service import Presence
from taskchat.processes.heartbeat import Heartbeat
from taskchat.processes.repository import Lease
from taskchat.ratings import routes as rating_routes
from taskchat.reference import routes as reference_routes
from taskchat.schedules import routes as schedule_routes
from taskchat.schedules.saying import Speaker
from taskchat.schedules.service import Schedules
from taskchat.schedules.tool import schedule_tool
from taskchat.search import routes as search_routes
from taskchat.search.meaning import Meaning
from taskchat.search.service import Search
from taskchat.settings import Settings
from taskchat.sharing import routes as sharing_routes
from taskchat.sharing.service import Sharing
from taskchat.signals import drained_on_signals
from taskchat.tasks import routes as task_routes
from taskchat.tasks.effects import task_limits
from taskchat.tasks.tools import TaskServer
from taskchat.telemetry import metrics
from taskchat.telemetry.traces import traces_sent
from taskchat.transports import chat, durable_streams, events, versions
from taskchat.transports import conversations as managing_routes
from taskchat.transports import feedback as feedback_routes
from taskchat.transports import turns as turn_routes
from taskchat.transports.ag_ui import route as ag_ui_route
from taskchat.transports.dependencies import LiveDeps
from taskchat.transports.mcp_http import metadata as mcp_metadata
from taskchat.transports.mcp_http import route as mcp_route
from taskchat.transports.mcp_http.route import mcp_deps
from taskchat.transports.openai_http import completions as openai_completions
from taskchat.transports.openai_http import models as openai_models
from taskchat.transports.openai_http import responses as openai_responses
from taskchat.transports.socket import route as websocket
from taskchat.transports.socket.connections import Connections
from taskchat.transports.socket.ghosts import Ghosts
from taskchat.transports.socket.session import session_ended
from taskchat.transports.ui import routes as ui_routes
from taskchat.turns.deps import TurnDeps
from taskchat.turns.event_log import EventLog
from taskchat.turns.jobs import TurnJobs
from taskchat.turns.lease import lease_jobs, release_turns
from taskchat.turns.rehearsal import rehearse
from taskchat.turns.store.settle import WAKE_CHANNEL
from taskchat.turns.store.steering import STEERING_CHANNEL
from taskchat.turns.wakeups import Wakeups
from taskchat.usage import routes as usage_routes
from taskchat.webhooks import routes as webhook_routes
from taskchat.webhooks.sending import Sender
from taskchat.webhooks.service import Webhooks

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
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan(settings, config, names, chain),
        redirect_slashes=False,
        openapi_url="/openapi.json" if settings.api_docs else None,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(RequestGate, settings=settings)
    problems.install(app)
    document(app)
    if settings.accounts:
        app.include_router(account_routes.entrance)
        app.include_router(account_routes.router)
        app.include_router(account_routes.key_set)
    app.include_router(events.router)
    app.include_router(durable_streams.router)
    app.include_router(chat.router)
    app.include_router(versions.router)
    app.include_router(turn_routes.router)
    app.include_router(feedback_routes.router)
    app.include_router(conversation_routes.router)
    app.include_router(managing_routes.router)
    app.include_router(rating_routes.router)
    app.include_router(sharing_routes.router)
    app.include_router(schedule_routes.router)
    app.include_router(task_routes.router)
    app.include_router(limit_routes.router)
    app.include_router(usage_routes.router)
    app.include_router(search_routes.router)
    app.include_router(portability_routes.router)
    app.include_router(webhook_routes.router)
    app.include_router(ui_routes.router)
    app.include_router(ag_ui_route.router)
    app.include_router(websocket.router)
    app.include_router(health.router)
    if settings.metrics:
        app.include_router(health.figures)
    if settings.page:
        app.include_router(page_router(settings))
    if settings.mcp:
        app.include_router(mcp_metadata.router)
        app.include_router(mcp_route.router)
    if settings.openai_routes:
        app.include_router(openai_responses.router)
        app.include_router(openai_completions.router)
        app.include_router(openai_models.router)
    if settings.api_docs:
        app.include_router(reference_routes.router)
    return app


def _lifespan(
    settings: Settings,
    config: AgentConfig,
    names: Sequence[str],
    chain: Sequence[NamedModel] | None,
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # The commands make sure of it.
        assert settings.database_url is not None  # noqa: S101
        assert settings.direct_url is not None  # noqa: S101
        process = new_id()
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(traces_sent(settings, process=str(process)))
            database = Database(settings.database_url.get_secret_value(), settings)
            stack.push_async_callback(database.close)
            keys = KeyRing(database, settings) if settings.accounts else None
            verifier = TokenVerifier(settings, keys)
            stack.push_async_callback(verifier.close)
            bridge = await stack.enter_async_context(
                task_server_bridge(
                    TaskServer([schedule_tool(settings)], limits=task_limits(settings)),
                    tool_timeout_s=settings.tool_timeout_s,
                )
            )
            models = chain
            if models is None:
                models = await stack.enter_async_context(open_models(names, settings))
            embedder = Embedder(settings) if settings.embedding_model else None
            if embedder is not None:
                stack.push_async_callback(embedder.close)
            meaning = Meaning(database, embedder, settings) if embedder else None
            maker = EmbeddingMaker(database, embedder, settings) if embedder else None
            sender = Sender(database, settings)
            stack.push_async_callback(sender.close)
            lease = Lease(settings.lease_s, settings.lease_grace_s)
            wakeups = Wakeups()
            listener = Listener(settings.direct_url.get_secret_value())
            events = EventLog(database, process, interval_s=settings.event_interval_s)
            limits = RateLimits(settings)
            turns = TurnDeps(
                process=process,
                lease=lease,
                database=database,
                assistant=Assistant(settings, config, models, bridge),
                settings=settings,
                wakeups=wakeups,
                jobs=TurnJobs(),
                events=events,
                limits=limits,
                prices=settings.prices,
            )
            presence = Presence(
                database,
                process,
                lease_s=settings.lease_s,
                websockets_max=settings.websocket_connections_max,
            )
            live = LiveDeps(
                authenticator=Authenticator(verifier, database),
                turns=turns,
                feed=Feed(database, listener.listening.is_set),
                presence=presence,
                connections=Connections(),
                ghosts=Ghosts(presence, probe_s=settings.websocket_probe_s),
            )
            heartbeat = Heartbeat(
                [url.get_secret_value() for url in (settings.direct_url, settings.database_url)],
                process,
                lease=lease,
            )
            config_file = ConfigFile(settings, turns.assistant)
            readiness = Readiness(lambda: turns.jobs.draining)
            parts: list[object] = [settings, database, live.authenticator, limits, turns, live]
            parts += [readiness, listener, heartbeat, config_file, Sharing(database, settings)]
            parts += [Search(database, meaning, settings), Webhooks(database, settings)]
            parts += [Schedules(database, settings), _crowds(settings)]
            if settings.mcp:
                parts.append(await stack.enter_async_context(mcp_deps(live)))
            if keys is not None:
                accounts = account_deps(database, settings, keys)
                stack.callback(accounts.passwords.close)
                parts.append(accounts)
            provide(app, *parts)
            await rehearse(turns)
            await sender.start()
            heartbeat.start()
            stack.push_async_callback(heartbeat.close)
            await stack.enter_async_context(
                _at_work(live, listener, config_file, keys, maker, sender)
            )
            stack.enter_context(drained_on_signals(lambda: drain(live), turns.jobs.hurry))
            metrics.INFO.labels(__version__).set(1)
            log.info("app.started", models=names, process=str(process))
            yield
        log.info("app.stopped")

    return lifespan


def _crowds(settings: Settings) -> Crowds:
    return Crowds(
        requests_max=settings.requests_at_once_max, exports_max=settings.exports_at_once_max
    )


@contextlib.asynccontextmanager
async def _at_work(
    live: LiveDeps,
    listener: Listener,
    config_file: ConfigFile,
    keys: KeyRing | None,
    maker: EmbeddingMaker | None,
    sender: Sender,
) -> AsyncIterator[None]:
    """The background work; when it ends, running turns are finished or handed over."""
    turns, settings = live.turns, live.settings
    turns.wakeups.on_over(turns.jobs.turn_over)
    turns.events.on_events(live.feed.published)

    def woken(payload: str) -> None:
        conversation_id = turns.wakeups.notified(payload)
        # Perhaps cancelled elsewhere: whoever follows it here need not wait for the next look.
        live.feed.look_at(conversation_id)

    listener.on(WAKE_CHANNEL, woken)
    listener.on(STEERING_CHANNEL, lambda payload: turns.jobs.steered(UUID(payload)))
    listener.on(EVENTS_CHANNEL, live.feed.notified)
    listener.on(PLACES_CHANNEL, live.ghosts.asked)
    listener.on(SESSIONS_CHANNEL, functools.partial(session_ended, live))
    listener.on(FORGOTTEN_CHANNEL, functools.partial(user_forgotten, live))
    listener.on_listening(live.feed.look_at_all)
    listener.start()
    turns.events.start()
    live.feed.start()
    keeper = Keeper(live.database, turns.process, chores_of(settings), settings)
    look_s = settings.chore_interval_s / LOOKS_AN_INTERVAL

    async def renew_presence() -> None:
        await live.presence.renew()
        if not listener.listening.is_set():
            await live.ghosts.look()

    speaker = Speaker(turns)
    jobs = [
        *lease_jobs(turns),
        asyncio.create_task(every(settings.schedule_look_s, speaker.say_due), name="schedules"),
        asyncio.create_task(every(settings.lease_s / 3, renew_presence), name="presence"),
        asyncio.create_task(every(look_s, keeper.keep_house), name="housekeeping"),
        asyncio.create_task(every(LOOK_S, config_file.follow), name="agent config"),
        asyncio.create_task(every(settings.webhook_interval_s, sender.work), name="webhooks"),
    ]
    if keys is not None:
        jobs.append(asyncio.create_task(every(FRESH_S, keys.look), name="signing keys"))
    if maker is not None:
        jobs.append(asyncio.create_task(every(EMBEDDING_S, maker.work), name="embeddings"))
    try:
        yield
    finally:
        await drain(live)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await turns.events.close()
        await listener.close()


async def drain(live: LiveDeps) -> None:
    """Take no more turns, finish what runs in bounded time, hand the rest over. Idempotent.

    Sockets are told at once to connect elsewhere, and closed with the streams at the end.
    """
    turns = live.turns
    live.connections.announce_shutdown()
    left = await turns.jobs.drain(timeout_s=turns.settings.drain_timeout_s)
    with contextlib.suppress(Exception):
        # Without it others still see that this process is gone, only later.
        await release_turns(turns)
    await live.feed.close()
    await live.ghosts.close()
    await live.connections.close_all()
    if left:
        log.warning("app.handed_over", turns=left)
