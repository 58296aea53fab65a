"""A judge that finds nothing proves nothing."""

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest
from fastapi import FastAPI, Response
from tests.answers import Answer
from tests.conftest import RunningApp
from tests.fuzz.campaign import SECRET, requests
from tests.fuzz.drawing import WRONG, Drawer, Drawn, Known
from tests.fuzz.judging import fault_of
from tests.fuzz.tally import Tally

DOCUMENT: Mapping[str, Any] = {
    "paths": {
        "/x": {"get": {"responses": {"200": {"content": {"application/json": {}}}, "400": {}}}}
    }
}

ASKED = Drawn("nothing", "/x", "GET", b"/x", [], b"")

HEADERS = {"x-request-id": "1", "content-type": "application/json"}

ERROR = b'{"error_code": "invalid_request"}'


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Answer(200, HEADERS, b"{}"), None),
        (Answer(400, HEADERS, ERROR), None),
        (Answer(503, HEADERS, b'{"error_code": "overloaded"}'), "503 is not documented"),
        (Answer(500, HEADERS, ERROR), "500"),
        (Answer(503, HEADERS, b'{"error_code": "database_error"}'), "503"),
        (Answer(409, HEADERS, ERROR), "409 is not documented"),
        (Answer(200, HEADERS, json.dumps(SECRET).encode()), "another user's"),
        (Answer(200, {**HEADERS, "x-request-id": ""}, b"{}"), "no X-Request-ID"),
        (Answer(200, {**HEADERS, "content-type": "text/html"}, b"x"), "text/html is not"),
        (Answer(400, HEADERS, b"oops"), "an error of another shape"),
    ],
)
def test_a_judge_tells_what_is_wrong_with_an_answer(answer: Answer, fault: str | None) -> None:
    found = fault_of(ASKED, answer, DOCUMENT, secret=SECRET)
    assert found == fault if fault is None else str(found).startswith(fault)


def test_a_seed_repeats_what_was_drawn(offline_app: RunningApp) -> None:
    def drawn() -> list[str]:
        drawer = Drawer(offline_app.app.openapi(), random.Random(5))
        known = Known()
        known.learn({"data": [{"id": "one"}, {"id": "two"}]}, "tasks")
        return [repr(drawer.draw("ann", "Bearer x", known)) for _ in range(300)]

    once = drawn()
    assert once == drawn()
    assert all(f"wrong={wrong!r}" in "".join(once) for wrong in WRONG)


async def test_a_campaign_finds_what_breaks_and_tells_what_repeats_it() -> None:
    broken = FastAPI()

    @broken.post("/api/{user_id}/{kind}", status_code=201)
    def made(user_id: str, kind: str) -> dict[str, str]:
        return {"id": user_id + kind}

    @broken.get("/api/{user_id}/tasks/{task_id}")
    def breaks(user_id: str, task_id: str) -> Response:
        return Response(b'{"error_code": "internal_error"}', 500, {"x-request-id": "1"})

    @broken.delete("/api/{user_id}/tasks/{task_id}")
    def raises(user_id: str, task_id: str) -> None:
        raise KeyError(task_id)

    tally = Tally()
    await requests(broken, 1, tally, count=200)
    assert tally.counted["requests", "5xx"] > 0
    assert any("500 at /api/{user_id}/tasks/{task_id}" in what for what in tally.found)
    assert any("KeyError" in what for what in tally.found)
    assert "seed 1, number " in tally.shown()
