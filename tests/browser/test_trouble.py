"""The page when the service says no, goes away, or is another process than before."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.browser.conftest import page_configuration
from tests.browser.guest import Guest
from tests.browser.network import Network
from tests.browser.slow_model import SlowModel, done, half
from tests.conftest import AppMaker
from tests.e2e.processes import Command, ready, running
from tests.live.served import served

MILK = "Add task: Buy milk"


async def test_a_message_over_the_rate_is_told_of_kept_and_sent_by_itself(
    guest: Guest, running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(rate_user_per_minute=1) as app, served(app) as url:
        window = await guest.visit(service=url)
        await window.page.clock.install()
        await guest.sign_in(window)
        await window.say(MILK)
        await expect(window.tasks).to_have_text(["1 Buy milk"])
        await window.say("What is on my list?")
        await expect(window.toast).to_contain_text("It is sent by itself in")
        waiting = window.page.locator(".message.waiting")
        await expect(waiting).to_contain_text("What is on my list?")
        await expect(waiting).to_contain_text("Over the limit for now; is sent by itself")
        # A minute later, on both sides.
        async with superuser.begin() as connection:
            await connection.execute(
                text("DELETE FROM rate_buckets WHERE user_id = :who"),
                {"who": guest.person.user_id},
            )
        await window.page.clock.fast_forward(60_000)
        await expect(waiting).to_have_count(0)
        await expect(window.messages).to_have_count(4)


@contextlib.contextmanager
def another_service(folder: Path, configured: dict[str, str]) -> Iterator[tuple[str, Command]]:
    """One more process on the same database."""
    folder.mkdir()
    ready_file = folder / "ready.json"
    arguments = ("dev", "--port", "0", "--data-dir", ".", "--ready-file", str(ready_file))
    with running(*arguments, cwd=folder, env=configured) as process:
        yield ready(ready_file, process)["url"], process


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_a_turn_goes_on_before_ones_eyes_when_another_process_serves(
    guest: Guest,
    model: SlowModel,
    database_of_services: str,
    tmp_path: Path,
    end: signal.Signals,
) -> None:
    configured = page_configuration(database_of_services, model) | {
        # A process that is gone is missed after a second.
        "TASKCHAT_LEASE_S": "1",
        "TASKCHAT_LEASE_GRACE_S": "1",
    }
    go_on = model.hold(MILK)
    with another_service(tmp_path / "first", configured) as (first, process):
        async with Network(first) as network:
            window = await guest.open(service=network.url)
            await window.say(MILK)
            await expect(window.draft).to_have_text(half(done("Buy milk")))
            # The page of before stays open: nobody reloads anything.
            network.lead_to(str(guest.client.base_url))
            process.send_signal(end)
            if end is signal.SIGKILL:
                await network.cut()
                await asyncio.to_thread(process.wait, 30)
                await network.restore()
            go_on.set()
            # Longer than it takes to miss a process.
            await expect(window.draft).to_have_count(0, timeout=60_000)
            await expect(window.messages.last).to_have_text(done("Buy milk"), timeout=60_000)
            await window.shows(MILK, done("Buy milk"))
            await expect(window.tools).to_have_count(1)
            await expect(window.tasks).to_have_text(["1 Buy milk"])
            await expect(window.page.locator(".line.offline")).to_have_count(0)
            conversation = window.conversation_id
            assert await guest.history(conversation) == [MILK, done("Buy milk")]
            # And it is the other one that is talked to.
            await asyncio.to_thread(process.wait, 60)
            await window.say("Add task: Buy eggs")
            await expect(window.tasks).to_have_text(["1 Buy milk", "2 Buy eggs"])
