"""What the API says of a wrong request is English: every sentence has a verb."""

import re
from typing import Any, Final

import httpx
import pytest
from tests.factories import Person

VERB: Final = r"(is|are|has|have|can't|must|may|takes?|does|fits?)"
ORDER: Final = r"(Send|Give|Ask|Use|Pass|Choose)"
SENTENCE: Final = re.compile(
    rf"({ORDER} .+|(The|No|A|This|One) (?:(?! not ).)*? {VERB}(n't)? .+)\.", re.DOTALL
)

SOME: Final = "01a1fbec-3f49-7e0c-95ac-bd3dc7d51a70"

RUN = {"threadId": "t", "runId": "r"}

WRONG: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("GET", "tasks", {"params": {"after": "bm90aGluZw"}}),
    ("GET", "conversations", {"params": {"after": "!"}}),
    ("GET", "conversations", {"params": {"after": "WyJhIiwiYiJd"}}),
    ("GET", "tasks", {"params": {"after": "x" * 300}}),
    ("GET", f"conversations/{SOME}/messages", {"params": {"before": "x", "after": "x"}}),
    ("GET", "tasks", {"params": {"limit": "0"}}),
    ("GET", "limits", {"params": {"conversation_id": "x"}}),
    ("GET", "usage", {"params": {"from": "x"}}),
    ("GET", "usage", {"params": {"from": "2026-11-21", "to": "2026-11-20"}}),
    ("GET", "usage", {"params": {"from": "1970-01-01", "to": "2026-11-20"}}),
    ("GET", f"turns/{SOME}/events", {"headers": {"Last-Event-ID": "x"}}),
    ("GET", f"turns/{SOME}/stream", {"params": {"offset": "x"}}),
    ("GET", f"turns/{SOME}/stream", {"params": {"live": "sse"}}),
    ("GET", f"turns/{SOME}/stream", {"params": {"offset": "-1", "live": "x"}}),
    ("POST", "ag-ui", {"json": {**RUN, "messages": [{"id": "m", "role": "user"}]}}),
    ("POST", "ag-ui", {"json": {**RUN, "messages": [{"id": "", "role": "user", "content": "x"}]}}),
    ("POST", f"conversations/{SOME}/shares", {"json": {"expires_in_h": 1000}}),
    ("GET", f"conversations/{SOME}/shares", {"params": {"after": "!"}}),
    ("POST", "webhooks", {"json": {"url": "http://hooks.example.org/"}}),
    ("POST", "webhooks", {"json": {"url": "https://127.0.0.1/"}}),
    ("POST", "webhooks", {"json": {"url": "https://hooks.example.org/#" + "x" * 3000}}),
    ("PATCH", f"webhooks/{SOME}", {"json": {}}),
    ("POST", "tasks", {"json": {"title": " "}}),
    ("POST", "tasks", {"json": {"title": "x" * 10_000}}),
    ("POST", "tasks", {"content": b"", "headers": {"Content-Type": "application/json"}}),
    ("POST", "tasks", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    ("POST", "chat", {"json": {"message": ""}}),
    ("POST", "chat", {"json": {"message": "x" * 10_000}}),
    ("POST", "chat", {"json": {"message": "x"}, "params": {"messages": "some"}}),
    ("POST", "chat", {"json": {"message": "x"}, "headers": {"Idempotency-Key": "é".encode()}}),
    ("POST", "chat", {"json": {"message": "x"}, "headers": {"Offline-Model": "x"}}),
]


@pytest.mark.parametrize(("method", "path", "options"), WRONG)
async def test_what_is_said_of_a_wrong_request_is_a_sentence(
    client: httpx.AsyncClient, method: str, path: str, options: dict[str, Any]
) -> None:
    person = Person()
    headers: dict[str, Any] = {**person.headers, **options.get("headers", {})}
    answer = await client.request(
        method, f"/api/{person.user_id}/{path}", **{**options, "headers": headers}
    )
    assert answer.status_code == 400, answer.text
    told = str(answer.json()["error"])
    assert SENTENCE.fullmatch(told), told


def test_a_sentence_without_a_verb_is_told() -> None:
    assert not SENTENCE.fullmatch("The cursor in after not a cursor of this list.")
    assert SENTENCE.fullmatch("The cursor in after is not a cursor of this list.")
