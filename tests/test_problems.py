"""One renderer: every answer that is not a success, the framework's own included, in one shape."""

import json
from uuid import UUID

import httpx
import pytest
import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from tests.answers import KEYS, ask, error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, scripted

from taskchat import errors
from taskchat.errors import Detail, ServiceError
from taskchat.http import problems
from taskchat.http.gate import RequestGate
from taskchat.moments import new_id
from taskchat.settings import Settings

PROBLEM = "application/problem+json"
UNKNOWN = "0199f3a0-0000-7000-8000-00000000dead"


def all_errors(root: type[ServiceError] = ServiceError) -> list[type[ServiceError]]:
    below = [error for child in root.__subclasses__() for error in all_errors(child)]
    return [error for error in (root, *below) if error.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_both_forms_of_an_error_tell_the_same_facts(kind: type[ServiceError]) -> None:
    error = kind(details=[Detail("message", "is odd")], conversation_id=new_id(), turn_id=new_id())
    plain = problems.render(error, request_id="r")
    problem = problems.render(error, request_id="r", accept=PROBLEM)
    assert plain.status_code == problem.status_code == kind.status
    assert plain.headers["content-type"] == "application/json"
    assert problem.headers["content-type"] == PROBLEM
    ours, theirs = json.loads(bytes(plain.body)), json.loads(bytes(problem.body))
    assert list(ours) == KEYS
    assert theirs["type"] == f"urn:taskchat:error:{kind.code}"
    assert theirs["title"]
    assert theirs["status"] == kind.status
    assert theirs["detail"] == ours["error"]
    shared = ["error_code", "conversation_id", "turn_id", "request_id", "details"]
    assert {key: theirs[key] for key in shared} == {key: ours[key] for key in shared}
    assert ours["details"] == [{"field": "message", "problem": "is odd"}]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_an_error_says_in_a_sentence_what_to_do(kind: type[ServiceError]) -> None:
    assert kind.default[0].isupper()
    assert kind.default.endswith((".", "”."))


def test_an_error_that_is_told_again_keeps_the_id_under_which_it_happened() -> None:
    error = errors.ModelError()
    error.request_id = "first"
    answer = problems.render(error, request_id="second")
    assert answer.headers["x-request-id"] == json.loads(bytes(answer.body))["request_id"] == "first"


def test_an_error_that_passes_says_when_to_come_back() -> None:
    answer = problems.render(errors.ShuttingDown(retry_after_s=3), request_id="r")
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize(
    ("status", "method", "path", "token", "headers", "raw"),
    [
        (400, "POST", "/api/{}/chat", True, {}, b"{"),
        (401, "GET", "/api/{}/tasks", False, {}, b""),
        (403, "GET", "/api/somebody/tasks", True, {}, b""),
        (404, "GET", "/nowhere", False, {}, b""),
        (404, "GET", "/api/{}/tasks/9", True, {}, b""),
        (404, "GET", "/api/{}/tasks%00", True, {}, b""),
        (405, "PUT", "/api/{}/tasks", True, {}, b""),
        (413, "POST", "/api/{}/chat", True, {}, b"x" * 70_000),
        (415, "POST", "/api/{}/chat", True, {"Content-Type": "text/plain"}, b"{}"),
        (431, "GET", "/livez", False, {"X-Long": "x" * 17_000}, b""),
    ],
)
async def test_whoever_raises_it_an_error_comes_in_the_form_that_is_asked_for(
    client: httpx.AsyncClient,
    status: int,
    method: str,
    path: str,
    token: bool,
    headers: dict[str, str],
    raw: bytes,
) -> None:
    person = Person()
    headers = {"Content-Type": "application/json"} | headers | (person.headers if token else {})
    path = path.format(person.user_id)
    error_of(await client.request(method, path, headers=headers, content=raw), status)
    headers["Accept"] = f"application/json, {PROBLEM}"
    answer = await client.request(method, path, headers=headers, content=raw)
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == PROBLEM
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_405_names_every_method_of_the_address(client: httpx.AsyncClient) -> None:
    for path, allowed in (
        ("/api/u/tasks", {"GET", "HEAD", "POST"}),
        ("/api/u/tasks/1", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("/api/u/chat", {"POST"}),
        (f"/api/u/turns/{UNKNOWN}/cancel", {"POST"}),
        ("/livez", {"GET", "HEAD"}),
        ("/openapi.json", {"GET", "HEAD"}),
    ):
        for method in ("OPTIONS", "TRACE", "PUT", "FOO"):
            answer = await client.request(method, path)
            error_of(answer, 405)
            assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/openapi.json", "/api/{}/tasks", "/nowhere"]
)
async def test_head_says_of_itself_what_get_says_and_sends_no_body(
    client: httpx.AsyncClient, path: str
) -> None:
    person = Person()
    path = path.format(person.user_id)
    got = await client.get(path, headers=person.headers)
    asked = await client.head(path, headers=person.headers)
    assert asked.status_code == got.status_code
    assert asked.content == b""
    ids = {"x-request-id", "date", "server-timing"}
    assert {k: v for k, v in asked.headers.items() if k not in ids} == {
        k: v for k, v in got.headers.items() if k not in ids
    }


async def test_every_answer_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/livez", headers={"X-Request-ID": "mine"}) for _ in range(3)]
    assert len({UUID(answer.headers["x-request-id"]) for answer in answers}) == 3


async def test_a_failure_told_again_to_its_key_is_the_same_bytes_and_the_same_id(
    running_app: AppMaker,
) -> None:
    _, chain = scripted(*[RuntimeError("zebra-7c1f: no such model")] * 6)
    person = Person()
    async with running_app(chain=chain) as running:
        first = await person.say(running.client, "hello", key="k")
        again = await person.say(running.client, "hello", key="k")
    assert first.status_code == again.status_code == 502
    assert first.content == again.content
    assert "zebra" not in first.text
    assert first.headers["x-request-id"] == again.headers["x-request-id"]
    assert first.headers["x-request-id"] == first.json()["request_id"]


def app_that_breaks(settings: Settings) -> FastAPI:
    app = FastAPI()
    app.add_middleware(RequestGate, settings=settings)
    problems.install(app)

    @app.get("/crash")
    async def crash() -> None:
        raise ZeroDivisionError("zebra-7c1f at /src/secret.py")

    @app.get("/raise/{status}")
    async def raised(status: int) -> None:
        raise HTTPException(status, detail="zebra-7c1f")

    @app.get("/number")
    async def number(n: int) -> int:
        return n

    return app


async def test_a_bug_gets_500_in_our_shape_and_tells_nothing(settings: Settings) -> None:
    app = app_that_breaks(settings)
    with structlog.testing.capture_logs() as logs:
        answer = await ask(app, "GET", b"/crash", headers=[])
    assert answer.status == 500
    body = answer.json()
    assert list(body) == KEYS
    assert body["error_code"] == "internal_error"
    assert body["error"] == errors.InternalError.default
    assert answer.headers["x-request-id"] == body["request_id"]
    assert [log["event"] for log in logs] == ["request.crashed"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 413, 415])
async def test_what_the_framework_raises_is_told_in_our_words(
    settings: Settings, status: int
) -> None:
    error_of(await ask(app_that_breaks(settings), "GET", b"/raise/%d" % status, headers=[]), status)


async def test_a_framework_error_of_no_known_status_is_ours(settings: Settings) -> None:
    answer = await ask(app_that_breaks(settings), "GET", b"/raise/418", headers=[])
    assert answer.status == 500
    assert answer.json()["error_code"] == "internal_error"


async def test_a_refused_parameter_is_named_and_not_told_back(settings: Settings) -> None:
    answer = await ask(app_that_breaks(settings), "GET", b"/number?n=zebra-7c1f", headers=[])
    [detail] = error_of(answer, 400)["details"]
    assert detail["field"] == "n"


async def test_an_error_can_be_told_without_json_encoding_its_surrogates(
    offline_app: RunningApp,
) -> None:
    answer = problems.render(errors.NotFound("No \ud800."), request_id="r")
    assert json.loads(bytes(answer.body))["error"] == "No ?."
