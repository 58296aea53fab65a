"""What is refused under /v1, and in which form: OpenAI's."""

from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from tests.answers import MARK
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.openai_http.conftest import Clients

from taskchat.errors import InvalidRequest
from taskchat.http.headers import REQUEST_HEADERS
from taskchat.texts import is_storable
from taskchat.transports.openai_http.requests import (
    HARMLESS,
    PASSED_OVER,
    CompletionRequest,
    ResponseRequest,
    read_input,
)

RESPONSES = "/v1/responses"


def error_in(answer: httpx.Response, status: int) -> dict[str, Any]:
    """What is wrong, in OpenAI's form, which echoes nothing."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert MARK not in answer.text
    assert answer.headers["x-request-id"]
    body = answer.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["message", "type", "param", "code"]
    error: dict[str, Any] = body["error"]
    return error


@pytest.mark.parametrize(
    ("request_", "params"),
    [
        (ResponseRequest, ResponseCreateParamsBase),
        (CompletionRequest, CompletionCreateParamsBase),
    ],
)
def test_every_parameter_of_the_client_is_known_and_no_other(
    request_: type[ResponseRequest] | type[CompletionRequest], params: Any
) -> None:
    theirs = set(params.__annotations__) | {"stream"}
    known = set(request_.model_fields) | PASSED_OVER | set(HARMLESS)
    assert theirs <= known
    everybodys = set(ResponseCreateParamsBase.__annotations__)
    everybodys |= set(CompletionCreateParamsBase.__annotations__)
    assert PASSED_OVER | set(HARMLESS) <= everybodys


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, 400, "tools"),
        ({"tool_choice": "required"}, 400, "tool_choice"),
        ({"store": False}, 400, "store"),
        ({"text": {"format": {"type": "json_object"}}}, 400, "text.format"),
        ({"prompt": {"id": MARK}}, 400, "prompt"),
        ({"model": MARK}, 404, "model"),
        ({"input": ""}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": "\x00"}, 400, "input"),
        ({"input": [{"role": MARK, "content": "a"}]}, 400, "input.0"),
        ({"input": [{"role": "user", "content": 1}]}, 400, "input"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "a"}]}]},
            400,
            "input.0.content.0",
        ),
        ({"input": [{"type": "function_call_output", "output": MARK}]}, 400, "input.0"),
        ({"input": [{"type": "mcp_approval_response", "approve": True}]}, 400, "input.0"),
        ({"previous_response_id": MARK}, 404, "previous_response_id"),
        ({"previous_response_id": "resp_1", "conversation": "a"}, 400, "previous_response_id"),
        ({"conversation": {"id": 1}}, 400, "conversation"),
        ({MARK: 1}, 400, "body"),
        ({"stream_options": {MARK: 1}}, 400, "body"),
    ],
)
async def test_what_can_not_be_had_is_named(
    offline_app: RunningApp, change: dict[str, Any], status: int, param: str
) -> None:
    answer = await offline_app.client.post(
        RESPONSES, json={"input": "Hello"} | change, headers=Person().headers
    )
    error = error_in(answer, status)
    assert error["type"] == "invalid_request_error"
    assert str(error["param"]).startswith(param)


async def test_what_only_colours_an_answer_is_passed_over(offline_app: RunningApp) -> None:
    answer = await offline_app.client.post(
        "/v1/chat/completions",
        json={
            "model": "taskchat",
            "messages": [{"role": "user", "content": "Hello"}],
            "temperature": 0.2,
            "max_tokens": 10,
            "tools": [],
            "n": 1,
            "tool_choice": None,
            "response_format": {"type": "text"},
            "seed": 7,
        },
        headers=Person().headers,
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("POST", RESPONSES, {"Authorization": ""}, 401, "invalid_auth"),
        ("POST", RESPONSES, {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ("DELETE", f"{RESPONSES}/resp_{'0' * 32}", {}, 405, "method_not_allowed"),
        ("GET", f"{RESPONSES}/resp_{'0' * 32}", {}, 404, "not_found"),
        ("GET", "/v1/nowhere", {}, 404, "not_found"),
        ("GET", f"{RESPONSES}/resp_{'0' * 32}?starting_after=-1", {}, 400, "invalid_request"),
        ("POST", RESPONSES, {"Idempotency-Key": ""}, 400, "invalid_request"),
    ],
)
async def test_errors_have_the_form_that_openais_clients_read(
    offline_app: RunningApp,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    answer = await offline_app.client.request(
        method,
        path,
        content=b'{"input": "Hello"}' if method == "POST" else b"",
        headers={**Person().headers, "Content-Type": "application/json", **headers},
    )
    assert error_in(answer, status)["code"] == code
    assert ("www-authenticate" in answer.headers) is (status == 401)


async def test_a_body_that_is_no_json_or_too_large_is_refused(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(body_bytes_max=2000, message_chars_max=10) as running:
        headers = person.headers | {"Content-Type": "application/json"}
        for body, status in (
            (b"{", 400),
            (b'{"input": "a", "input": "b"}', 400),
            (b'{"input": "' + b"a" * 3000 + b'"}', 413),
            (b'{"input": "' + b"a" * 11 + b'"}', 400),
        ):
            answer = await running.client.post(RESPONSES, content=body, headers=headers)
            param = error_in(answer, status)["param"]
            assert param == ("input" if status == 400 and b"aaa" in body else param)


words = st.text(max_size=5) | st.sampled_from(["\x00", "\ud800", f"mcpr_{'0' * 32}", MARK])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "id"]) | words, inner, max_size=2)
    ),
    max_leaves=4,
)
items = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["message", "mcp_approval_response", "function_call_output", "reasoning"]
        )
        | values,
        "role": st.sampled_from(["user", "assistant", "system", "tool"]) | values,
        "content": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["input_text", "text"]) | values},
                optional={"text": values},
            )
            | values,
            max_size=2,
        )
        | values,
        "approval_request_id": words | values,
        "approve": st.booleans() | values,
        "reason": values,
    },
)


@given(value=words | st.lists(items, max_size=4))
@hypothesis_settings(max_examples=500, deadline=None, derandomize=True, database=None)
def test_whatever_is_sent_is_read_or_refused(value: str | list[dict[str, Any]]) -> None:
    said = refusal = None
    try:
        said = read_input(value, "input")
    except InvalidRequest as error:
        refusal = error
    if refusal is not None:
        assert MARK not in refusal.message
        assert refusal.details[0].field.startswith("input")
    else:
        assert said is not None
        assert (said.text is None) is bool(said.decisions)
        assert said.text is None or is_storable(said.text)


async def test_the_rate_limit_is_told_as_the_client_waits_for_it(running_app: AppMaker) -> None:
    person = Person()
    async with running_app(rate_user_per_minute=1) as running:
        answers = [
            await running.client.post(RESPONSES, json={"input": "Hello"}, headers=person.headers)
            for _ in range(2)
        ]
        assert answers[0].headers["x-ratelimit-remaining"] == "0"
        error = error_in(answers[1], 429)
        assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limited")
        assert int(answers[1].headers["retry-after"]) > 0


async def test_an_ended_conversation_is_not_tried_again(
    offline_app: RunningApp, clients: Clients
) -> None:
    person = Person()
    said = (await person.say(offline_app.client, "Hello")).json()["conversation_id"]
    await offline_app.client.patch(
        f"/api/{person.user_id}/conversations/{said}",
        json={"status": "ended"},
        headers=person.headers,
    )
    async with clients(person) as client:
        with pytest.raises(openai.ConflictError) as refused:
            await client.responses.create(input="Hello", conversation=said)
        assert refused.value.code == "conversation_ended"
        assert refused.value.response.headers["x-should-retry"] == "false"


async def test_where_it_is_switched_off_there_is_nothing_of_it(running_app: AppMaker) -> None:
    async with running_app(openai_routes=False) as running:
        for path in ("/v1/models", RESPONSES):
            answer = await running.client.get(path, headers=Person().headers)
            assert answer.status_code == 404


async def test_a_page_may_send_what_the_client_says_of_itself(running_app: AppMaker) -> None:
    person, page = Person(), "https://app.example.org"
    client = openai.AsyncOpenAI(base_url="http://test/v1", api_key="x")
    sent = {name for name in client.default_headers if name.lower().startswith("x-stainless")}
    assert sent <= set(REQUEST_HEADERS) | {"X-Stainless-Async"}
    async with running_app(allowed_origins=page) as running:
        asked = await running.client.options(
            RESPONSES,
            headers={
                "Origin": page,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, x-stainless-os",
            },
        )
        assert asked.status_code == 200
        answer = await running.client.post(
            RESPONSES, json={"input": "Hello"}, headers=person.headers | {"Origin": page}
        )
        assert answer.headers["access-control-allow-origin"] == page
        assert "X-Conversation-Id" in answer.headers["access-control-expose-headers"]
