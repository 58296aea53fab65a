"""`/docs` in a real browser: whole, without another host, within its own policy."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect
from tests.conftest import RunningApp
from tests.factories import Person
from tests.live.served import served

CHAT = "#operations-chat-chat_api__user_id__chat_post"


class Opened:
    """The page, and what a browser complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def _note(self, message: object) -> None:
        kind, text = getattr(message, "type", ""), getattr(message, "text", "")
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    async def open(self) -> None:
        await self.page.goto(f"{self.url}/docs")
        await expect(self.page.locator(CHAT)).to_be_visible(timeout=60_000)

    def hosts(self) -> set[str]:
        """The addresses outside of this service that were asked."""
        return {url for url in self.asked if not url.startswith((f"{self.url}/", "data:"))}


@pytest.fixture
async def opened(browser: Browser, offline_app: RunningApp) -> AsyncIterator[Opened]:
    async with served(offline_app) as url:
        context = await browser.new_context(viewport={"width": 390, "height": 844})
        yield Opened(await context.new_page(), url)
        await context.close()


@pytest.mark.long
async def test_the_reference_shows_every_route_and_examples_on_a_phone_and_in_the_dark(
    opened: Opened, offline_app: RunningApp
) -> None:
    await opened.page.emulate_media(color_scheme="dark")
    await opened.open()
    paths = offline_app.app.openapi()["paths"]
    routes = opened.page.locator(".opblock")
    await expect(routes).to_have_count(sum(len(methods) for methods in paths.values()))
    for route, shown in (
        (CHAT, "Added “Buy groceries”."),
        ("#operations-data-import_lines_api__user_id__import_post", "usage is not imported"),
        ("#operations-sharing-read_shared_share__token__get", "not_found"),
    ):
        await opened.page.locator(f"{route} .opblock-summary-control").click()
        example = opened.page.locator(f"{route} .highlight-code", has_text=shown).first
        await expect(example).to_be_visible(timeout=30_000)
    assert await opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    await expect(opened.page.locator("html")).to_have_class("dark-mode")
    await opened.page.emulate_media(color_scheme="light")
    await expect(opened.page.locator("html")).not_to_have_class("dark-mode")
    assert not opened.complaints
    assert not opened.hosts()


@pytest.mark.long
async def test_a_route_is_tried_with_a_token(opened: Opened) -> None:
    person = Person()
    await opened.open()
    page = opened.page
    await page.get_by_role("button", name="Authorize").first.click()
    token = person.headers["Authorization"].removeprefix("Bearer ")
    await page.locator(".auth-container input").fill(token)
    await page.locator(".auth-container").get_by_role("button", name="Apply").click()
    await page.locator(".auth-container").get_by_role("button", name="Close").click()
    chat = page.locator(CHAT)
    await chat.locator(".opblock-summary-control").click()
    await chat.get_by_role("button", name="Try it out").click()
    await chat.locator("tr[data-param-name=user_id] input").fill(person.user_id)
    await chat.get_by_role("button", name="Execute").click()
    answer = chat.locator(".live-responses-table .response .highlight-code").first
    await expect(answer).to_contain_text("Added “Buy groceries”.", timeout=60_000)
    assert not opened.complaints
    assert not opened.hosts()
    kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert token not in kept
