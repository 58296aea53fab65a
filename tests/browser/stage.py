"""What stands around the page: who serves it, and what a test sees of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx
from playwright.async_api import BrowserContext, ConsoleMessage, Page, WebSocket
from tests.factories import Person
from tests.faults.waiting import until

from taskchat.turns.events import TERMINAL

PAGE = Path(__file__).with_name("page.html")

WAIT_MS = 15_000
"""The longest that the browser may take for anything."""


class _PageHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = PAGE.read_bytes() if self.path == "/page.html" else b""
        self.send_response(200 if content else 204)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests' output is for what fails."""


@contextmanager
def page_server() -> Iterator[str]:
    """Serves the page from an origin that is not the service's; yields that origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _PageHandler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Message:
    """One message, as the page shows it or as the service has it."""

    id: str
    role: str
    content: str


@dataclass(frozen=True)
class Seen:
    """One event that the page took, by its place."""

    turn_id: str
    seq: int
    type: str

    @property
    def ends_turn(self) -> bool:
        """Whether none follows."""
        return self.type in TERMINAL


class Tab:
    """One tab with the page in it.

    Attributes:
        page: The browser's side of it.
        seen: Every event that the page took, in order.
        said: What the page said on each of its sockets, in order.
        problems: What went wrong in the page's own code.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.seen: list[Seen] = []
        self.said: list[list[dict[str, Any]]] = []
        self.problems: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("websocket", self._on_websocket)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.text.startswith("event "):
            _, turn_id, seq, type_ = message.text.split(" ")
            self.seen.append(Seen(turn_id, int(seq), type_))

    def _on_websocket(self, socket: WebSocket) -> None:
        said: list[dict[str, Any]] = []
        self.said.append(said)
        socket.on("framesent", lambda text: said.append(json.loads(text)))

    async def say(self, text: str) -> None:
        """Type something and press Enter."""
        await self.page.fill("#text", text)
        await self.page.press("#text", "Enter")

    async def messages(self) -> list[Message]:
        """What is shown, from top to bottom."""
        shown = await self.page.evaluate(
            "[...document.querySelectorAll('#chat p')].map((p) => [p.id, p.className, p.innerText])"
        )
        return [Message(*each) for each in shown]

    async def draft(self, beginning: str) -> str:
        """The reply that is being made, once it begins like this."""
        return await self._until(
            "(beginning) => [...document.querySelectorAll('.draft')].map((p) => p.innerText)"
            ".find((text) => text.startsWith(beginning))",
            beginning,
            what=f"the draft {beginning}",
        )

    async def shows(self, text: str) -> None:
        """Wait until a message, whole, is there."""
        await self._until(
            "(text) => [...document.querySelectorAll('#messages p:not(.draft)')]"
            ".some((p) => p.innerText === text)",
            text,
            what=text,
        )

    async def status(self, beginning: str) -> str:
        """The status text, once it begins like this."""
        return await self._until(
            "(beginning) => { const text = document.getElementById('status').innerText;"
            " return text.startsWith(beginning) && text; }",
            beginning,
            what=f"status {beginning}",
        )

    async def _until(self, look: str, value: str, *, what: str) -> str:
        # Asked from here: what the browser itself repeats is slow in a tab behind another one.
        return str(await until(lambda: self.page.evaluate(look, value), what=what))

    @property
    def conversation_id(self) -> str:
        """The conversation that the tab's address names."""
        return parse_qs(self.page.url.partition("#")[2])["conversation"][0]


@dataclass(frozen=True)
class Visitor:
    """A user of their own with a browser, and with a client besides.

    Attributes:
        person: The user.
        context: Their browser, apart from everybody else's.
        page_origin: Where their page comes from.
        client: Speaks HTTP with the service, whatever becomes of the browser's network.
    """

    person: Person
    context: BrowserContext
    page_origin: str
    client: httpx.AsyncClient

    @property
    def token(self) -> str:
        """What the page is given."""
        return self.person.headers["Authorization"].removeprefix("Bearer ")

    async def open(self, **options: str) -> Tab:
        """A new tab with the page; options are those of its address."""
        given = {"service": str(self.client.base_url), "token": self.token, **options}
        tab = Tab(await self.context.new_page())
        await tab.page.goto(f"{self.page_origin}/page.html#{urlencode(given)}")
        return tab

    async def history(self, conversation_id: str) -> list[Message]:
        """The conversation as the service has it."""
        path = f"/api/{self.person.user_id}/conversations/{conversation_id}/messages"
        answer = await self.client.get(path, params={"limit": 100}, headers=self.person.headers)
        answer.raise_for_status()
        return [Message(one["id"], one["role"], one["content"]) for one in answer.json()["data"]]

    async def log_of(self, turn_id: str) -> list[Seen]:
        """The events of a turn that is over, as the service has them."""
        path = f"/api/{self.person.user_id}/turns/{turn_id}/events"
        headers = self.person.headers | {"Accept": "text/event-stream"}
        answer = await self.client.get(path, headers=headers)
        answer.raise_for_status()
        events = [
            json.loads(line.removeprefix("data: "))
            for line in answer.text.splitlines()
            if line.startswith("data: ")
        ]
        return [Seen(event["turn_id"], event["seq"], event["type"]) for event in events]
