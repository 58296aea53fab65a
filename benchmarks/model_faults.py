"""What a client sees of each fault that a model can have, and what the fault costs upstream.

One process of the service, as `taskchat serve` runs it, before an endpoint that fails as it is told
to: over both of OpenAI's APIs, for a client that takes JSON and for one that takes a stream.
"""

import argparse
import asyncio
import atexit
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.assistant.vendor.endpoint import Vendor
from tests.assistant.vendor.steps import (
    Step,
    always,
    calls,
    calls_raw,
    empty,
    ends_early,
    fails,
    fails_inside,
    garbage,
    halves,
    hangs,
    incomplete,
    loops,
    refuses,
    resets,
    says,
    stalls,
)

from benchmarks.live_stage import Person, Stage, staged

A, B = "gpt-a", "gpt-b"
APIS = ("responses", "chat_completions")
HANG_S = 2
"""How long one attempt at a model may take here; 30 by default."""
BREAKER_S = 2
"""How long a breaker stays open here; 30 by default."""
LONGEST_S = 900
"""Something hangs if it takes as long as that."""

VARIABLES = {
    "TASKCHAT_MODEL": f"{A},{B}",
    "TASKCHAT_STATEMENT_TIMEOUT_S": "1",
    "TASKCHAT_POOL_TIMEOUT_S": "1",
    "TASKCHAT_TOOL_TIMEOUT_S": "1.5",
    "TASKCHAT_MODEL_TIMEOUT_S": str(HANG_S),
    "TASKCHAT_BREAKER_FAILURES": "0",
}
"""All else is as it comes. The breaker has rows of its own: it would end the others' faults."""


@dataclass(frozen=True)
class Fault:
    """What is told to happen in one turn.

    Attributes:
        name: As the table has it.
        first: Steps of the first model; the second's are those of `second`, and a reply where
            there are none.
        second: Steps of the second model.
    """

    name: str
    first: Sequence[Step]
    second: Sequence[Step] = ()


FAULTS = (
    Fault("none", [says("Hello.")]),
    Fault("none; a tool is called", [calls("add_task", title="Milk"), says("Added.")]),
    Fault("429, Retry-After: 1, once", [fails(429, retry_after=1), says("Hello.")]),
    Fault("429, Retry-After: 60", [fails(429, retry_after=60)]),
    Fault("429, no quota left", [fails(429, code="insufficient_quota")]),
    Fault("500 once", [fails(500), says("Hello.")]),
    Fault("500 for ever", [always(fails(500))]),
    Fault("500 for ever, after a tool call", [calls("list_tasks"), always(fails(500))]),
    Fault("500 for ever, both models", [always(fails(500))], [always(fails(500))]),
    Fault("400", [fails(400)]),
    Fault("401, both models", [fails(401)], [fails(401)]),
    Fault("connection reset once", [resets(), says("Hello.")]),
    Fault("connection reset for ever", [always(resets())]),
    Fault("hangs", [hangs()]),
    Fault("hangs, both models", [hangs()], [hangs()]),
    Fault("half an answer, before its first word", [halves(words=0), says("Hello.")]),
    Fault("half an answer, after its second word", [halves(words=2), says("Hello.")]),
    Fault("ends in good order, after its second word", [ends_early(words=2), says("Hello.")]),
    Fault("tells of an error after its second word", [fails_inside(words=2), says("Hello.")]),
    Fault("stops after its second word", [stalls(words=2), says("Hello.")]),
    Fault("HTML in place of an answer", [garbage()]),
    Fault("arguments that are no JSON", [calls_raw("add_task", '{"title": '), says("Sorry.")]),
    Fault("a tool that does not exist", [calls("drop_tables"), says("Sorry.")]),
    Fault("calls a tool 30 times", loops(30)),
    Fault("refuses", [refuses("I can't help with that.")]),
    Fault("answers nothing", [empty()]),
    Fault("answers nothing, both models", [empty()], [empty()]),
    Fault("NUL and a lone surrogate", [says("a\x00b\ud800c")]),
    Fault("cut at its longest", [incomplete("Your tasks are: milk, br")]),
)


@dataclass(frozen=True)
class Seen:
    """What came of one turn.

    Attributes:
        fault: Which.
        api: Which the service spoke.
        streamed: Whether the client took a stream.
        told: The reply, or the error and its status, which a stream's last event stands for.
        model: In the answer, or in the turn as it is read afterwards.
        asked: Requests upstream, by model.
        seconds: From the message to the end of the answer.
        next_turn: Whether the next turn of the conversation was answered.
    """

    fault: str
    api: str
    streamed: bool
    told: str
    model: str
    asked: dict[str, int]
    seconds: float
    next_turn: bool


class Client:
    """A person, and how they ask."""

    def __init__(self, http: httpx.AsyncClient, person: Person, vendor: Vendor) -> None:
        self._http = http
        self._person = person
        self._vendor = vendor

    async def suffer(self, fault: Fault, api: str, *, streamed: bool) -> Seen:
        """One turn with the fault, and one without."""
        self._vendor.instead(*fault.first, model=A)
        self._vendor.instead(*(fault.second or [says("Here is the second.")]), model=B)
        seen, conversation = await self.say(fault.name, api, streamed=streamed)
        self._vendor.instead(always(says("Here I am.")), model=A)
        after, _ = await self.say("", api, streamed=streamed, conversation=conversation)
        return Seen(**{**asdict(seen), "next_turn": "Here I am." in after.told})

    async def say(
        self, name: str, api: str, *, streamed: bool, conversation: str | None = None
    ) -> tuple[Seen, str]:
        """One turn as it is; and its conversation."""
        before = len(self._vendor.requests)
        began = time.monotonic()
        body = {"message": "hello", "conversation_id": conversation}
        path = f"/api/{self._person.id}/chat"
        accept = {"Accept": "text/event-stream" if streamed else "application/json"}
        answer = await self._http.post(path, json=body, headers=self._person.headers | accept)
        seconds = time.monotonic() - began
        told = _last_event(answer) if streamed else answer.json()
        turn = await self._http.get(
            f"/api/{self._person.id}/turns/{told['turn_id']}", headers=self._person.headers
        )
        asked = Counter(request.model for request in self._vendor.requests[before:])
        seen = Seen(
            name,
            api,
            streamed,
            _shown(answer.status_code, told),
            turn.json()["model"] or "",
            dict(asked),
            round(seconds, 2),
            next_turn=True,
        )
        return seen, str(told["conversation_id"])


def _last_event(answer: httpx.Response) -> dict[str, Any]:
    lines = [line for line in answer.text.split("\n") if line.startswith("data: ")]
    last: dict[str, Any] = json.loads(lines[-1].removeprefix("data: "))
    return last


def _shown(status: int, told: dict[str, Any]) -> str:
    """The reply, or the error; both with what they came by where that is no matter of course."""
    answer = told.get("result", told)
    expected = {"model_error": 502, "timeout": 504}
    if "error_code" not in answer:
        return f"“{answer['response']}”" if status == 200 else f"{status} with a reply"
    code = answer["error_code"]
    usual = status == (200 if "type" in told else expected.get(code))
    return f"{expected[code]} {code}" if usual else f"{status} {code}"


@contextlib.asynccontextmanager
async def client_of(
    stage: Stage, vendor: Vendor, api: str, **variables: str
) -> AsyncIterator[Client]:
    """A client of a server of its own."""
    variables = VARIABLES | {"TASKCHAT_OPENAI_API": api} | variables
    with stage.serving(vendor=vendor.url, variables=variables) as server:
        await server.ready()
        base_url = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=base_url, timeout=60) as http:
            yield Client(http, stage.person(f"person-{api}-{server.port}"), vendor)


async def breaker(stage: Stage, vendor: Vendor, api: str, *, streamed: bool) -> AsyncIterator[Seen]:
    """A model that is away, turn after turn, and is back."""
    settings = {"TASKCHAT_BREAKER_FAILURES": "5", "TASKCHAT_BREAKER_OPEN_S": str(BREAKER_S)}
    async with client_of(stage, vendor, api, **settings) as client:
        vendor.instead(always(fails(500)), model=A)
        vendor.instead(always(says("Here is the second.")), model=B)
        for turn in ("first", "second", "third"):
            name = f"breaker: 500 for ever, {turn} turn"
            yield (await client.say(name, api, streamed=streamed))[0]
        vendor.instead(always(says("Here I am.")), model=A)
        await asyncio.sleep(BREAKER_S)
        name = f"breaker: back, {BREAKER_S} s later"
        yield (await client.say(name, api, streamed=streamed))[0]


async def measure(stage: Stage) -> list[Seen]:
    """Each fault in each way."""
    found = []
    vendor = Vendor()
    async with vendor.serving():
        for api in APIS:
            async with client_of(stage, vendor, api) as client:
                for fault in FAULTS:
                    for streamed in (False, True):
                        found.append(await client.suffer(fault, api, streamed=streamed))
                        print(".", end="", file=sys.stderr, flush=True)
            for streamed in (False, True):
                async for seen in breaker(stage, vendor, api, streamed=streamed):
                    found.append(seen)
                    print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


HEAD = """\
| fault | API | client | what it is told | model | asked upstream | s | next turn |
| --- | --- | --- | --- | --- | --- | --- | --- |"""


def table(found: Sequence[Seen], *, merged: bool) -> str:
    """One row for each way, or for all ways of a fault that came to the same."""
    rows: dict[tuple[str, ...], list[Seen]] = {}
    for seen in found:
        asked = ", ".join(f"{model} {times}" for model, times in seen.asked.items()) or "nobody"
        same = (seen.told, seen.model or "none", asked, "works" if seen.next_turn else "FAILS")
        way = () if merged else (seen.api, str(seen.streamed))
        rows.setdefault((seen.fault, *same, *way), []).append(seen)
    names = list(dict.fromkeys(seen.fault for seen in found))
    lines = [HEAD]
    for (fault, told, model, asked, works, *_), ways in sorted(
        rows.items(), key=lambda row: names.index(row[0][0])
    ):
        apis = _either(seen.api for seen in ways)
        clients = _either("stream" if seen.streamed else "JSON" for seen in ways)
        least, most = (pick(seen.seconds for seen in ways) for pick in (min, max))
        seconds = f"{most:.2f}" if len(ways) == 1 else f"{least:.2f} to {most:.2f}"
        cells = (fault, apis, clients, told, model, asked, seconds, works)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _either(values: Iterable[str]) -> str:
    found = list(dict.fromkeys(values))
    return "both" if len(found) > 1 else found[0]


async def run() -> list[Seen]:
    folder = Path(tempfile.mkdtemp(prefix="taskchat-faults-"))
    # Behind the cluster, which stops as the process ends and needs its folder until then.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return await measure(await staged(folder))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model_faults", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON and no table")
    parser.add_argument(
        "--merged",
        action="store_true",
        help="one row for all ways of a fault that came to the same",
    )
    given = parser.parse_args()
    signal.alarm(LONGEST_S)
    found = asyncio.run(run())
    print(
        json.dumps([asdict(seen) for seen in found])
        if given.json
        else table(found, merged=given.merged)
    )


if __name__ == "__main__":
    main()
