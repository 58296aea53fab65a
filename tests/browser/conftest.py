"""One browser, one slow model and one service for all of these tests; each has its own user."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, async_playwright
from tests.browser.guest import Guest
from tests.browser.slow_model import SlowModel
from tests.browser.stage import Visitor, page_server
from tests.conftest import MakeDatabase
from tests.e2e.processes import ready, running
from tests.factories import JWT_SECRET, Person

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Services:
    """Where they are.

    Attributes:
        open: One that the page may use.
        closed: One that knows nothing of the page.
    """

    open: str
    closed: str


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The machine's own browser, without a window."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        # CI must not be green because of what it left out.
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up(
            "no browser found; install Chromium (apt-get install chromium) or Chrome, so that one "
            f"of {', '.join(BROWSERS)} is on the PATH"
        )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def page_origin() -> Iterator[str]:
    """Where the page comes from."""
    with page_server() as origin:
        yield origin


@pytest.fixture(scope="session")
async def model() -> AsyncIterator[SlowModel]:
    """The model that services ask."""
    async with SlowModel() as model:
        yield model


@pytest.fixture(scope="session")
async def database_of_services(
    migrated_database: MakeDatabase,
) -> AsyncIterator[str]:
    """One that no other test's process looks after."""
    async with migrated_database() as url:
        yield url


@pytest.fixture(scope="session")
async def services(
    browser: Browser,
    page_origin: str,
    model: SlowModel,
    database_of_services: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Services]:
    """Two services, started at once; none where there is no browser."""
    configured = service_configuration(database_of_services, model)
    folder = tmp_path_factory.mktemp("services")
    files = [folder / "open.json", folder / "closed.json"]
    origins = [{"TASKCHAT_ALLOWED_ORIGINS": page_origin}, {}]
    async with ended_elsewhere() as stack:
        processes = [
            stack.enter_context(
                running(
                    *("dev", "--ephemeral", "--port", "0", "--ready-file", str(file)),
                    cwd=folder,
                    env=configured | allowed,
                )
            )
            for file, allowed in zip(files, origins, strict=True)
        ]
        told = [
            await asyncio.to_thread(ready, file, process)
            for file, process in zip(files, processes, strict=True)
        ]
        yield Services(*(one["url"] for one in told))
        # Both at once; each is waited for when its block ends.
        for process in processes:
            process.send_signal(signal.SIGTERM)


@contextlib.asynccontextmanager
async def ended_elsewhere() -> AsyncIterator[contextlib.ExitStack]:
    """What is entered here ends in a thread: a service that stops may still ask the model, which
    is served by this loop."""
    stack = contextlib.ExitStack()
    try:
        yield stack
    finally:
        await asyncio.to_thread(stack.close)


def service_configuration(database_url: str, model: SlowModel) -> dict[str, str]:
    """What every service is told."""
    return {
        "DATABASE_URL": database_url,
        "OPENAI_API_KEY": "a-key",
        "OPENAI_BASE_URL": model.url,
        "TASKCHAT_MODEL": "slow",
        "TASKCHAT_JWT_SECRET": JWT_SECRET,
        "TASKCHAT_LOG_LEVEL": "warning",
    }


def page_configuration(database_url: str, model: SlowModel) -> dict[str, str]:
    """What a service is told whose page asks who is there. Nobody is limited."""
    return {
        **service_configuration(database_url, model),
        # Each test has its own user.
        "TASKCHAT_PAGE_USER": "",
        "TASKCHAT_RATE_CONVERSATION_PER_MINUTE": "0",
        "TASKCHAT_RATE_CHANNEL_PER_MINUTE": "0",
        "TASKCHAT_RATE_USER_PER_MINUTE": "0",
    }


@pytest.fixture(scope="session")
async def page_service(
    browser: Browser,
    model: SlowModel,
    database_of_services: str,
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[str]:
    """The address of a service whose page asks who is there, and whose agent may ask questions."""
    folder = tmp_path_factory.mktemp("page")
    config = (project / "contracts/agent-config.yaml").read_text(encoding="utf-8")
    agent, ready_file = folder / "agent.yaml", folder / "ready.json"
    agent.write_text(config.replace("allowed: [", "allowed: [ask_user, "), encoding="utf-8")
    configured = page_configuration(database_of_services, model)
    configured["TASKCHAT_AGENT_CONFIG_PATH"] = str(agent)
    arguments = ("dev", "--port", "0", "--data-dir", ".", "--ready-file", str(ready_file))
    async with ended_elsewhere() as stack:
        process = stack.enter_context(running(*arguments, cwd=folder, env=configured))
        yield (await asyncio.to_thread(ready, ready_file, process))["url"]


@pytest.fixture
async def guest(browser: Browser, page_service: str, model: SlowModel) -> AsyncIterator[Guest]:
    """Somebody whose browser shows the service's own page."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    async with httpx.AsyncClient(base_url=page_service, timeout=30) as client:
        guest = Guest(Person(), context, client)
        yield guest
        await guest.assert_nothing_was_violated()
    await context.close()
    # Services wait for turns that are under way before they stop.
    model.let_go()


@pytest.fixture
async def visitor(
    browser: Browser, page_origin: str, services: Services, model: SlowModel
) -> AsyncIterator[Visitor]:
    """Somebody with a browser."""
    context = await browser.new_context(viewport={"width": 720, "height": 640})
    async with httpx.AsyncClient(base_url=services.open, timeout=30) as client:
        yield Visitor(Person(), context, page_origin, client)
    await context.close()
    # Services wait for turns that are under way before they stop.
    model.let_go()
