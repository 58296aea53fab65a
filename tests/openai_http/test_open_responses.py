"""The cases of the Open Responses compliance suite, judged by the specification's own types.

The suite itself is on no registry. What it asks is asked here, and what can't be had is refused.
"""

import json
from typing import Any

import httpx
import pytest
from openresponses_types import types
from pydantic import BaseModel
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, says, scripted

STREAMING = {
    value: kind
    for name, kind in vars(types).items()
    if name.endswith("StreamingEvent")
    for value in kind.model_json_schema(mode="serialization")["$defs"][
        kind.model_fields["type"].annotation.__name__
    ]["enum"]
}
"""The class of each event, by its type."""


def said(content: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": content}


WEATHER: dict[str, Any] = {
    "input": [said("What's the weather like in San Francisco?")],
    "tools": [
        {"type": "function", "name": "get_weather", "parameters": {"type": "object"}},
    ],
}
IMAGE = [
    {"type": "input_text", "text": "What do you see in this image?"},
    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
]
PIRATE = {"type": "message", "role": "system", "content": "Always respond in pirate speak."}
ALICE = [
    said("My name is Alice."),
    {"type": "message", "role": "assistant", "content": "Hello Alice!"},
    said("What is my name?"),
]


async def asked(running_app: AppMaker, body: dict[str, Any]) -> httpx.Response:
    person = Person()
    _, chain = scripted(says("One, two, three, four, five."))
    async with running_app(chain=chain) as running:
        return await running.client.post("/v1/responses", json=body, headers=person.headers)


def judged(resource: Any) -> BaseModel:
    """The response by the specification's types; the suite asks for output that is complete."""
    response = types.ResponseResource.model_validate_json(json.dumps(resource))
    assert response.status == "completed"
    assert response.output
    return response


@pytest.mark.parametrize(
    "body",
    [
        {"model": "taskchat", "input": [said("Say hello in exactly 3 words.")]},
        {"model": "taskchat", "input": [PIRATE, said("Say hello.")]},
    ],
    ids=["basic-response", "system-prompt"],
)
async def test_a_response_is_as_the_specification_has_it(
    running_app: AppMaker, body: dict[str, Any]
) -> None:
    judged((await asked(running_app, body)).json())


async def test_a_stream_is_as_the_specification_has_it(running_app: AppMaker) -> None:
    body = {"model": "taskchat", "input": [said("Count from 1 to 5.")], "stream": True}
    blocks = (await asked(running_app, body)).text.strip().split("\n\n")
    assert blocks[-1] == "data: [DONE]"
    told: list[Any] = []
    for block in blocks[:-1]:
        name, data = block.split("\n")
        told.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {told[-1]['type']}"
        STREAMING[told[-1]["type"]].model_validate_json(data.removeprefix("data: "))
    judged(told[-1]["response"])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (WEATHER, "tools"),
        (WEATHER | {"stream": True}, "tools"),
        ({"input": [said(IMAGE)]}, "input.0.content.1"),
        ({"input": ALICE}, "conversation"),
    ],
    ids=["tool-calling", "tool-calling-streaming", "image-input", "multi-turn"],
)
async def test_the_exceptions_are_refused_by_name(
    offline_app: RunningApp, body: dict[str, Any], param: str
) -> None:
    answer = await offline_app.client.post(
        "/v1/responses", json={"model": "taskchat", **body}, headers=Person().headers
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_the_history_of_the_suite_is_kept_where_it_names_a_conversation(
    running_app: AppMaker,
) -> None:
    body = {"model": "taskchat", "input": ALICE, "conversation": "alice"}
    judged((await asked(running_app, body)).json())
