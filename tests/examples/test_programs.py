"""The examples run as they are, and do what they say."""

import re
import shutil
from pathlib import Path

import httpx
import pytest
from tests.clients import node
from tests.examples.programs import EXAMPLES, Breaking, run, told
from tests.factories import Person

LINES_MAX = 60
"""What fits on a screen."""

WHOLE = re.compile(
    r"→ add_task \{ title: 'Milk' \}\n"
    r"← \{ task_id: 1, status: 'created', title: 'Milk' \}\n"
    r"Added “Milk”\.\n"
)


def test_each_example_is_short_and_listed() -> None:
    examples = {path for path in EXAMPLES.rglob("*") if path.is_file()} - {EXAMPLES / "README.md"}
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for example in examples:
        assert len(example.read_text(encoding="utf-8").splitlines()) <= LINES_MAX, example
        assert f"]({example.relative_to(EXAMPLES)})" in listed, example


async def javascript(url: str, person: Person, message: str, code: int = 0) -> str:
    return await run(
        *(node.node(), EXAMPLES / "javascript.mjs", message),
        folder=EXAMPLES,
        variables=told(url, person),
        code=code,
    )


async def test_javascript_shows_what_happens(url: str) -> None:
    assert WHOLE.fullmatch(await javascript(url, Person(), "Add task: Milk"))


@pytest.mark.parametrize(
    ("at", "goes_on"),
    [(b"HTTP/1.1 200", "POST /api/{}/chat"), (b"tool_result", "GET /api/{}/turns/")],
    ids=["before the answer", "within an event"],
)
async def test_javascript_loses_and_doubles_nothing_when_the_connection_breaks(
    at: bytes, goes_on: str, url: str
) -> None:
    person = Person()
    async with Breaking(url, at).open() as broken:
        assert WHOLE.fullmatch(await javascript(broken.url, person, "Add task: Milk"))
    first, second = broken.requests
    assert first.startswith(f"POST /api/{person.user_id}/chat")
    assert second.startswith(goes_on.format(person.user_id))
    async with httpx.AsyncClient(base_url=url, headers=person.headers) as client:
        listed = await client.get(f"/api/{person.user_id}/tasks")
    assert [task["title"] for task in listed.json()["data"]] == ["Milk"]


async def test_javascript_tells_of_a_refusal_at_once(url: str) -> None:
    said = await javascript(url, Person(), " ", code=1)
    assert "does not fit the contract" in said


@pytest.mark.skipif(shutil.which("curl") is None, reason="it is an example of curl")
async def test_curl_has_a_conversation(url: str) -> None:
    printed = await run(*("sh", "curl.sh"), folder=EXAMPLES, variables=told(url, Person()))
    answers = [line for line in printed.splitlines() if not line.startswith("#")]
    assert '"response":"Added “Buy groceries”."' in answers[0]
    assert answers[1:3] == ["same", "event: turn_started"]
    assert answers[-3:-1] == ["event: turn_completed", "id: 4"]
    assert answers[-1].count('"title":"Buy groceries"') == 1


async def test_curl_ends_with_an_error_that_is_shown(url: str, tmp_path: Path) -> None:
    variables = told(url, Person()) | {"TOKEN": "none"}
    assert "invalid_auth" in await run(
        *("sh", EXAMPLES / "curl.sh"), folder=tmp_path, variables=variables, code=1
    )
