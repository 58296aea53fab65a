"""One person's conversation with a scripted model, whichever way both are spoken to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from tests.answers import KEYS
from tests.assistant.vendor.endpoint import API, Vendor
from tests.assistant.vendor.steps import says
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person

PATIENCE_S = 60
"""Longer than any turn takes here on a slow machine; then the wait is given up."""

STATUSES = {"model_error": 502, "timeout": 504}
"""HTTP's, of the errors that a model can cause."""


@dataclass(frozen=True)
class Way:
    """How a turn is asked for.

    Attributes:
        api: Which of the vendor's APIs the service speaks.
        streams: Whether the client reads an event stream in place of one JSON answer.
    """

    api: API
    streams: bool

    def __str__(self) -> str:
        return f"{self.api}, {'streamed' if self.streams else 'JSON'}"


JSON = Way("responses", streams=False)
STREAM = Way("responses", streams=True)
CHAT_JSON = Way("chat_completions", streams=False)
CHAT_STREAM = Way("chat_completions", streams=True)
WAYS = (JSON, STREAM, CHAT_JSON, CHAT_STREAM)

ONE_WAY = pytest.mark.parametrize("way", [JSON], ids=str)
"""For what no way can change."""

ACROSS = pytest.mark.parametrize("way", [JSON, CHAT_STREAM], ids=str)
"""For what the four ways can differ in only by their API or only by their streaming."""

UNSTREAMED = pytest.mark.parametrize("way", [JSON, CHAT_JSON], ids=str)
STREAMED = pytest.mark.parametrize("way", [STREAM, CHAT_STREAM], ids=str)

A, B = "gpt-a", "gpt-b"
"""The chain of `talking`."""


@dataclass(frozen=True)
class Outcome:
    """How a turn ended, for its client and in the record.

    Attributes:
        error_code: Of a failed turn.
        error: What its client was told.
        answer: The JSON answer of a completed turn, which a stream's last event holds too.
        turn: The turn as it can be read afterwards.
        events: All that happened in it, in order.
    """

    error_code: str | None
    error: str
    answer: dict[str, Any]
    turn: dict[str, Any]
    events: list[dict[str, Any]]

    @property
    def reply(self) -> str | None:
        """What the assistant said, if it did."""
        return self.answer.get("response")

    @property
    def model(self) -> str | None:
        """The one that wrote the reply."""
        return self.answer.get("model")

    @property
    def asked(self) -> list[str]:
        """The models that were told to be asked, each as often as the turn went over to it."""
        return [name for name, _ in groupby(self._models("openai_call"))]

    @property
    def answered(self) -> list[str]:
        """The models that were told to have answered."""
        return self._models("openai_response")

    @property
    def heard(self) -> str:
        """All text that was streamed, be it dropped later or not."""
        return "".join(e["delta"] for e in self.events if e["type"] == "stream_chunk")

    @property
    def texts(self) -> list[tuple[str, bool]]:
        """The texts that were streamed, and whether each was dropped."""
        found: list[tuple[str, bool]] = []
        text = ""
        for event in self.events:
            if event["type"] == "stream_start":
                text = ""
            elif event["type"] == "stream_chunk":
                text += event["delta"]
            elif event["type"] == "stream_end":
                found.append((text, event["dropped"]))
        return found

    @property
    def thought(self) -> str:
        """All that was told of how the model came to its answers."""
        return "".join(e["delta"] for e in self.events if e["type"] == "reasoning")

    def _models(self, type_: str) -> list[str]:
        return [event["model"] for event in self.events if event["type"] == type_]


@dataclass
class Talk:
    """A conversation.

    Attributes:
        running: The app.
        way: How it is asked.
        vendor: The endpoint of its models.
        person: Who talks.
        conversation_id: Which; None until something was said.
        told: How many messages it had when it was last looked at; None if it went on since.
    """

    running: RunningApp
    way: Way
    vendor: Vendor
    person: Person = field(default_factory=Person)
    conversation_id: str | None = None
    told: int | None = None

    async def say(self, text: str = "hello") -> Outcome:
        """Say something; the outcome is checked against the record before it is given back."""
        before = self.told if self.conversation_id else 0
        if before is None:
            before = len(await self.messages())
        outcome = await self.ask(text)
        messages = await self.messages()
        await self._check(outcome, text, messages[before:])
        self.told = len(messages)
        return outcome

    async def ask(self, text: str) -> Outcome:
        """Say something."""
        self.told = None
        headers = {"Accept": "text/event-stream" if self.way.streams else "application/json"}
        async with asyncio.timeout(PATIENCE_S):
            given = await self.running.client.post(
                self.person.chat_path,
                json={"message": text, "conversation_id": self.conversation_id},
                headers=self.person.headers | headers,
            )
        outcome = await (self._streamed(given) if self.way.streams else self._answered(given))
        self.conversation_id = outcome.turn["conversation_id"]
        return outcome

    async def messages(self) -> list[dict[str, Any]]:
        """What was said so far, oldest first."""
        return await self._data(f"conversations/{self.conversation_id}/messages")

    async def tasks(self) -> list[dict[str, Any]]:
        """The person's tasks."""
        return await self._data("tasks")

    async def goes_on(self, model: str = A) -> Outcome:
        """The next turn of the conversation, which must work."""
        self.vendor.instead(says("Here I am."), model=model)
        outcome = await self.say("and now?")
        assert (outcome.reply, outcome.model) == ("Here I am.", model), outcome
        return outcome

    async def let_go(self) -> None:
        """Until the service holds no request upstream any more."""
        async with asyncio.timeout(PATIENCE_S):
            while self.vendor.answering:
                await asyncio.sleep(0.01)

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of this process's samples that have these labels."""
        text = (await self.running.client.get("/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def _answered(self, given: httpx.Response) -> Outcome:
        body = given.json()
        turn = await self._get(f"turns/{body['turn_id']}")
        events = await self._events(turn["id"])
        if given.status_code == 200:
            return Outcome(None, "", body, turn, events)
        assert list(body) == KEYS
        assert given.status_code == STATUSES[body["error_code"]]
        return Outcome(body["error_code"], body["error"], {}, turn, events)

    async def _streamed(self, given: httpx.Response) -> Outcome:
        assert given.status_code == 200, given.text
        told = _events_of(given)
        last = told[-1]
        turn = await self._get(f"turns/{last['turn_id']}")
        assert told == await self._events(turn["id"])
        if last["type"] == "turn_completed":
            return Outcome(None, "", last["result"], turn, told)
        assert last["type"] == "error", last
        return Outcome(last["error_code"], last["error"], {}, turn, told)

    async def _check(self, outcome: Outcome, text: str, new: list[dict[str, Any]]) -> None:
        """What the client was told is what is stored."""
        turn = outcome.turn
        said, *replies = new
        assert (said["role"], said["content"]) == ("user", text)
        assert [event["seq"] for event in outcome.events] == list(range(1, len(outcome.events) + 1))
        if outcome.error_code is None:
            assert (turn["status"], turn["error"]) == ("completed", None)
            assert turn["reply"] == outcome.reply
            assert turn["model"] == outcome.model == outcome.answered[-1]
            assert turn["tool_calls"] == outcome.answer["tool_calls"]
            if self.way.streams:
                assert outcome.texts[-1] == (outcome.reply, False)
            assert [(one["role"], one["content"]) for one in replies] == [
                ("assistant", outcome.reply)
            ]
        else:
            assert (turn["status"], turn["reply"]) == ("failed", None)
            assert turn["error"]["error_code"] == outcome.error_code
            assert turn["error"]["error"] == outcome.error
            assert not replies

    async def _events(self, turn_id: str) -> list[dict[str, Any]]:
        path = f"/api/{self.person.user_id}/turns/{turn_id}/events"
        answer = await self.running.client.get(path, headers=self.person.headers)
        assert answer.status_code == 200, answer.text
        return _events_of(answer)

    async def _data(self, path: str) -> list[dict[str, Any]]:
        page = await self._get(path, limit=100)
        data: list[dict[str, Any]] = page["data"]
        return data

    async def _get(self, path: str, **params: Any) -> Any:
        answer = await self.running.client.get(
            f"/api/{self.person.user_id}/{path}", headers=self.person.headers, params=params
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextlib.asynccontextmanager
async def talking(
    running_app: AppMaker, standing: Vendor, way: Way, **settings: Any
) -> AsyncIterator[Talk]:
    """A person before an app of its own, whose models are the endpoint's gpt-a, then gpt-b."""
    changes: dict[str, Any] = {
        "openai_api_key": SecretStr("sk-test"),
        "openai_base_url": standing.url,
        "openai_api": way.api,
        "model": f"{A}, {B}",
        **settings,
    }
    async with running_app(**changes) as running:
        yield Talk(running, way, standing)


def _events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line for line in answer.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]
