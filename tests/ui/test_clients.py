"""The AI SDK's own clients: in Node, and with React and assistant-ui in a browser."""

import contextlib
import functools
import json
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser, Page, expect
from tests.browser.conftest import browser
from tests.browser.stage import WAIT_MS
from tests.clients import node
from tests.clients.conftest import RunNode, node_modules, run_node
from tests.conftest import AppMaker, in_a_task_of_its_own
from tests.factories import Person
from tests.live.served import served

pytestmark = pytest.mark.long

__all__ = ["browser", "node_modules", "run_node"]

EXAMPLE = "examples/ai-sdk-react/app.jsx"

WORDS = [f" word{number}" for number in range(30)]

PAGE = (
    '<!doctype html><meta charset="utf-8"><body></body><script type="module" src="app.js"></script>'
)


@pytest.fixture(scope="module")
async def urls(running_app: AppMaker) -> AsyncIterator[Sequence[str]]:
    """Two services on one database."""

    @contextlib.asynccontextmanager
    async def serving() -> AsyncIterator[Sequence[str]]:
        settings = {"script_allowed": True, "allowed_origins": "*"}
        async with contextlib.AsyncExitStack() as stack:
            apps = [await stack.enter_async_context(running_app(**settings)) for _ in range(2)]
            yield [await stack.enter_async_context(served(app)) for app in apps]

    async with in_a_task_of_its_own(serving()) as found:
        yield found


def told(person: Person, urls: Sequence[str], **more: Any) -> str:
    facts = {"url": urls[0], "urls": urls, "user": person.user_id, "headers": person.headers}
    return json.dumps(facts | more)


async def test_a_chat_in_node_from_its_first_message_to_its_versions(
    run_node: RunNode, urls: Sequence[str]
) -> None:
    assert await run_node("ui_turn.mjs", told(Person(), urls)) == "done\n"


async def test_reloads_in_the_middle_of_turns_lose_nothing_and_double_nothing(
    run_node: RunNode, urls: Sequence[str]
) -> None:
    plan = {"seed": 1, "reloads": 20, "chats": 2, "pace_s": 0.02, "between_ms": 150}
    done = json.loads(await run_node("ui_reloads.mjs", told(Person(), urls, **plan)))
    assert done["reloads"] >= 20
    assert done["changes"] > 100


def bundled(program: Path, modules: Path, folder: Path) -> None:
    """Make a page of a program, as a bundler does."""
    subprocess.run(
        [
            *(node.node(), modules / "esbuild/bin/esbuild", program),
            *("--bundle", "--format=esm", "--jsx=automatic", "--log-level=warning"),
            '--define:process.env.NODE_ENV="production"',
            f"--outfile={folder / 'app.js'}",
        ],
        env={**node.environment(), "NODE_PATH": str(modules)},
        check=True,
    )


@pytest.fixture(scope="module", params=["react", "assistant-ui"])
def site(
    request: pytest.FixtureRequest,
    browser: Browser,
    node_modules: Path,
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Where a page is served from."""
    folder = tmp_path_factory.mktemp("site")
    program = project / EXAMPLE if request.param == "react" else node.HERE / "ui_assistant.jsx"
    bundled(program, node_modules, folder)
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.05))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Tests' output is for what fails."""


class Front:
    """A page with a chat, and what a person does there."""

    def __init__(self, page: Page, site: str, person: Person) -> None:
        self.page = page
        self._site = site
        self._person = person
        self.problems: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    async def load(self, url: str) -> None:
        """Load it anew, with another service behind it."""
        token = self._person.headers["Authorization"].removeprefix("Bearer ")
        facts = {"url": url, "user": self._person.user_id, "token": token, "id": "a chat"}
        await self.page.goto("about:blank")
        await self.page.goto(f"{self._site}#{urlencode(facts)}")

    async def say(self, text: str, *script: dict[str, Any]) -> None:
        """Say something that the model answers as the script says."""
        await self.page.set_extra_http_headers({"X-Taskchat-Script": json.dumps(script)})
        field = self.page.locator("main input, main textarea")
        await field.fill(text)
        await field.press("Enter")

    async def shows(self, *texts: str) -> None:
        """Wait until the assistant's last message says this, and nothing runs."""
        last = self.page.locator("article.assistant").last
        await expect(last.locator("p:not(.tool)")).to_have_text(list(texts), timeout=WAIT_MS)
        await expect(self.page.locator("main")).to_have_attribute(
            "data-status", "ready", timeout=WAIT_MS
        )


async def test_a_page_chats_approves_reloads_elsewhere_and_stops(
    browser: Browser, site: str, urls: Sequence[str]
) -> None:
    person = Person()
    context = await browser.new_context()
    front = Front(await context.new_page(), site, person)
    one, other = urls
    await front.load(one)
    adding = [{"tool": "add_task", "arguments": {"title": title}} for title in ("Milk", "Eggs")]
    await front.say("Milk and eggs", {"call": adding}, {"say": "Both."})
    await front.shows("Both.")
    assert await front.page.locator(".tool").count() == 2

    deleting = [{"tool": "delete_task", "arguments": {"task_id": number}} for number in (1, 2)]
    await front.say("Delete both", {"call": deleting}, {"say": "Gone."})
    approve = front.page.get_by_role("button", name="Approve")
    await expect(approve).to_have_count(2, timeout=WAIT_MS)
    # What waits is still there for who comes back.
    await front.load(other)
    await expect(approve).to_have_count(2, timeout=WAIT_MS)
    await approve.first.click()
    await expect(approve).to_have_count(1, timeout=WAIT_MS)
    await approve.click()
    await front.shows("Gone.")
    assert await front.page.locator(".tool").count() == 4

    await front.say("Talk", {"say": ["So:", *WORDS], "pace_s": 0.05})
    last = front.page.locator("article.assistant").last
    await expect(last).to_contain_text("word2", timeout=WAIT_MS)
    await front.load(one)
    await front.shows(f"So:{''.join(WORDS)}")
    assert await front.page.locator("article").count() == 6

    await front.say("Talk on", {"say": ["Well:", *WORDS], "pace_s": 0.05})
    await expect(last).to_contain_text("Well: word0", timeout=WAIT_MS)
    await front.page.evaluate(
        "([url, headers]) => fetch(url, { method: 'POST', headers }).then(() => true)",
        [f"{other}/api/{person.user_id}/ui/chat/a%20chat/stop", person.headers],
    )
    await expect(front.page.locator("main")).to_have_attribute(
        "data-status", "ready", timeout=WAIT_MS
    )
    assert not (await last.inner_text()).endswith("word29")
    assert front.problems == []
    await context.close()


def test_the_example_is_small(project: Path) -> None:
    lines = (project / EXAMPLE).read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line.strip() and not line.strip().startswith("//")]
    assert len(code) <= 60
