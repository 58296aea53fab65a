"""The service's own page in a browser: what a person does there, and what they see."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx
from playwright.async_api import BrowserContext, Locator, Page, expect
from tests.browser.stage import WAIT_MS
from tests.factories import Person

expect.set_options(timeout=WAIT_MS)

WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  violations.push([event.violatedDirective, event.blockedURI, event.sample]));
"""
"""Notes what the page's own policy has refused."""


@dataclass
class Window:
    """One tab with the page in it.

    Attributes:
        page: The browser's side of it.
        problems: What went wrong in the page's own code.
    """

    page: Page
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    @property
    def field(self) -> Locator:
        """Where messages are written."""
        return self.page.get_by_label("Message", exact=True)

    @property
    def messages(self) -> Locator:
        """All messages, from top to bottom."""
        return self.page.locator(".messages article .text")

    @property
    def draft(self) -> Locator:
        """The reply that is being made."""
        return self.page.locator("article.draft .text")

    @property
    def turns(self) -> Locator:
        """All turns, from top to bottom."""
        return self.page.locator(".messages .turn")

    @property
    def tools(self) -> Locator:
        """All tool calls, from top to bottom."""
        return self.page.locator("details.tool")

    @property
    def tasks(self) -> Locator:
        """The titles of the tasks that are shown, each with its number."""
        return self.page.locator(".task .title")

    @property
    def toast(self) -> Locator:
        """What was told in passing."""
        return self.page.locator(".toast p")

    def button(self, name: str, *, within: Locator | None = None) -> Locator:
        """A button by what it is called."""
        return (within or self.page).get_by_role("button", name=name, exact=True)

    async def say(self, text: str) -> None:
        """Type something and press Enter."""
        await self.field.fill(text)
        await self.field.press("Enter")

    async def shows(self, *messages: str) -> None:
        """Wait until exactly these messages are there, whole."""
        await expect(self.draft).to_have_count(0)
        await expect(self.messages).to_have_text(list(messages))

    async def menu(self, name: str) -> None:
        """Choose something that can be done with the conversation."""
        await self.button("This conversation").click()
        await self.page.locator("#menu-conversation").get_by_text(name, exact=True).click()

    async def clipboard(self) -> str:
        """What was copied last."""
        return str(await self.page.evaluate("navigator.clipboard.readText()"))

    @property
    def conversation_id(self) -> str:
        """The conversation that the address names."""
        found = re.search(r"#/c/([0-9a-f-]{36})", self.page.url)
        assert found, self.page.url
        return found[1]


@dataclass
class Guest:
    """A user of their own with a browser, and with a client besides.

    Attributes:
        person: The user.
        context: Their browser, apart from everybody else's.
        client: Speaks HTTP with the service, whatever becomes of the browser's network.
        windows: The tabs that they opened.
    """

    person: Person
    context: BrowserContext
    client: httpx.AsyncClient
    windows: list[Window] = field(default_factory=list)

    @property
    def token(self) -> str:
        """What they sign in by."""
        return self.person.headers["Authorization"].removeprefix("Bearer ")

    async def visit(self, place: str = "", *, service: str | None = None) -> Window:
        """A new tab with the page; nobody is signed in."""
        window = Window(await self.context.new_page())
        self.windows.append(window)
        await window.page.add_init_script(WATCH)
        await window.page.goto(f"{service or self.client.base_url}/{place}".replace("//#", "/#"))
        return window

    async def open(self, place: str = "", *, service: str | None = None) -> Window:
        """A new tab with the page, signed in."""
        window = await self.visit(place, service=service)
        await self.sign_in(window)
        return window

    async def sign_in(self, window: Window) -> None:
        """By a token that is pasted."""
        await window.button("I have a token").click()
        await window.page.get_by_label("Token").fill(self.token)
        await window.button("Sign in").click()
        await expect(window.field).to_be_visible()

    async def api(self, method: str, path: str, **given: Any) -> Any:
        """What the service says besides."""
        address = f"/api/{self.person.user_id}{path}"
        answer = await self.client.request(method, address, headers=self.person.headers, **given)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    async def history(self, conversation_id: str) -> list[str]:
        """What was said, as the service has it."""
        path = f"/conversations/{conversation_id}/messages"
        page = await self.api("GET", path, params={"limit": 200})
        return [message["content"] for message in page["data"]]

    async def assert_nothing_was_violated(self) -> None:
        """No tab did what its policy forbids, and no code of it failed."""
        for window in self.windows:
            if window.page.is_closed():
                continue
            violations = await window.page.evaluate("violations")
            assert violations == [], json.dumps(violations)
            assert window.problems == []
