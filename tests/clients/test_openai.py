"""OpenAI's client for JavaScript talks, streams and resumes."""

import json

from tests.clients.conftest import RunNode
from tests.conftest import RunningApp
from tests.factories import Person
from tests.live.served import served
from tests.openai_http.conftest import key_of


async def test_openais_client_uses_both_interfaces(
    offline_app: RunningApp, run_node: RunNode
) -> None:
    async with served(offline_app) as url:
        printed = json.loads(await run_node("openai.mjs", url, key_of(Person())))
    assert (printed["said"], printed["items"]) == ("Added “Tea”.", ["mcp_call", "message"])
    assert printed["resumed"]
    assert printed["listed"] == printed["completed"] == printed["streamed"]
    assert "Milk" in printed["listed"]
    assert printed["refused"] == [400, "invalid_request", "tools", "invalid_request_error"]
