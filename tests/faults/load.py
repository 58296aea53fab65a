"""A steady load: so many turns begun a second, each asked for until its end is told.

A client goes where a proxy would send it: to processes whose `/readyz` answered 200 at the last
look. The model is the offline one, in the processes themselves: nothing else takes their time.
"""

import asyncio
import contextlib
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from tests.factories import Person
from tests.faults.checker import (
    CHECKS,
    Evidence,
    Request,
    Violation,
    counters_are_within_limits,
    decisions_are_carried_out,
)
from tests.faults.cluster import all_rows
from tests.faults.hearing import BROKEN, LEFT
from tests.faults.processes import Service

LOOK_S = 0.5
"""Between two looks at who is ready; proxies look less often, and are told besides."""

PATIENCE_S = 20
"""How long a client waits for an answer before it asks again, by the same key."""

REFUSALS = {400, 401, 403, 404, 422}
"""Answers that are the same however often they are asked for."""

TURNS_MAX = 20
"""Of a conversation; then another one takes its place."""

MESSAGE = re.compile(r"Add task: Parcel (u\d+\.\d+)")
"""What is said; the id is nobody else's and no other message's, and in the title of one task."""

OFFLINE = {
    "TASKCHAT_MODEL": "offline",
    "TASKCHAT_DRAIN_TIMEOUT_S": "65",
    # What a rate limit refuses is no load.
    **{
        f"TASKCHAT_RATE_{whose}_PER_MINUTE": "0"
        for whose in ("USER", "CONVERSATION", "CHANNEL", "TOKENS")
    },
}
"""Settings of those who serve it; all else is as by default."""


@dataclass
class Talk:
    """A conversation; it has an id once its first turn is told of."""

    person: Person
    id: str | None = None
    said: int = 0


@dataclass(frozen=True)
class Told:
    """How one message fared.

    Attributes:
        message: Its id.
        begun_s: When it was first sent, by the monotonic clock.
        ended_s: When its end was told; None while it is not.
        statuses: Of its answers in order; 0 where none came.
        waits: Retry-After of those that were refused; None where there was none.
    """

    message: str
    begun_s: float
    ended_s: float | None
    statuses: tuple[int, ...]
    waits: tuple[float | None, ...] = ()


@dataclass
class Load:
    """Clients of a fleet.

    Args:
        services: Where processes are; they come and go.
        users: How many talk, each in one conversation at a time.
        per_second: How many messages are begun a second, whatever becomes of the others.
        under_way_max: While so many have not ended, none is begun: a machine that is busy with
            something else would be left with a heap of them. None means any number.
        after: What else a client does once its message has ended, if anything.

    Attributes:
        requests: Each that was sent, in order of its end.
        told: Each message, in order of its end.
        broken: Connections that broke after something was sent, or brought no answer in time.
        passed_on: Connections that nobody took.
        left_out: Messages that were not begun because of `under_way_max`.
    """

    services: Sequence[Service]
    users: int
    per_second: float
    seed: int = 1
    under_way_max: int | None = None
    after: Callable[["Load", Talk, Mapping[str, Any]], Any] | None = None
    requests: list[Request] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)
    passed_on: int = 0
    left_out: int = 0

    def __post_init__(self) -> None:
        self.http = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
            timeout=PATIENCE_S,
        )
        self._draw = random.Random(self.seed)
        self._talks = [Talk(Person(f"u{number:04}")) for number in range(self.users)]
        self._headers = {talk.person.user_id: talk.person.headers for talk in self._talks}
        self._signed_s = time.monotonic()
        self._ready: list[Service] = []
        self._told_to_leave: set[Service] = set()
        self._numbers = itertools.count(1)
        self._calm = asyncio.Event()

    # --- who is asked ---

    async def look(self) -> None:
        """See who is ready, until nobody needs to know any more."""
        while True:
            services = list(self.services)
            ready = await asyncio.gather(*map(self._is_ready, services))
            self._ready = [one for one, answers in zip(services, ready, strict=True) if answers]
            await asyncio.sleep(LOOK_S)

    async def _is_ready(self, service: Service) -> bool:
        if not service.url or service in self._told_to_leave:
            return False
        try:
            return (await self.http.get(f"{service.url}/readyz", timeout=5)).status_code == 200
        except (*LEFT, *BROKEN):
            return False

    async def leave(self, service: Service) -> None:
        """Ask it nothing more, as a proxy that is told beforehand; returns when that is done."""
        self._told_to_leave.add(service)
        self._leave_out(service)
        await asyncio.sleep(LOOK_S)

    def _leave_out(self, service: Service) -> None:
        self._ready = [one for one in self._ready if one is not service]

    async def one_ready(self) -> Service:
        """Whom to ask; whoever is left if nobody is ready, as a proxy does."""
        while not self._ready:
            left = self._told_to_leave
            found = [one for one in self.services if one.url and one not in left]
            if found:
                return self._draw.choice(found)
            await asyncio.sleep(LOOK_S)
        return self._draw.choice(self._ready)

    def headers(self, person: Person) -> dict[str, str]:
        """With a token that is still good."""
        if time.monotonic() - self._signed_s > 300:
            self._signed_s = time.monotonic()
            self._headers = {talk.person.user_id: talk.person.headers for talk in self._talks}
        return self._headers[person.user_id]

    # --- what is said ---

    async def run(self, seconds: float) -> None:
        """Begin messages evenly for so long, and wait until each has been told its end."""
        looking = asyncio.create_task(self.look())
        begun = time.monotonic()
        under_way: set[asyncio.Task[None]] = set()
        try:
            for number in itertools.count():
                due = begun + number / self.per_second
                if due > begun + seconds or self._calm.is_set():
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if self.under_way_max is not None and len(under_way) >= self.under_way_max:
                    self.left_out += 1
                    continue
                task = asyncio.create_task(self._say(self._talks[number % len(self._talks)]))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.gather(*under_way)
        finally:
            looking.cancel()
            for task in under_way:
                task.cancel()
            await asyncio.gather(looking, *under_way, return_exceptions=True)

    def end(self) -> None:
        """Begin nothing more."""
        self._calm.set()

    async def close(self) -> None:
        """Hang up."""
        await self.http.aclose()

    async def _say(self, talk: Talk) -> None:
        message = f"{talk.person.user_id}.{next(self._numbers)}"
        talk.said += 1
        if talk.said == TURNS_MAX:
            talk.said, talk.id = 0, None
        body = {"message": f"Add task: Parcel {message}", "conversation_id": talk.id}
        begun = time.monotonic()
        statuses: list[int] = []
        waits: list[float | None] = []
        while True:
            answer = await self._send(talk.person, message, body)
            statuses.append(answer.status_code if answer is not None else 0)
            request = self.requests[-1] if answer is None else self._note(talk, message, answer)
            # Whoever is told that it never will be need not ask again.
            if request.is_final or request.status in REFUSALS:
                break
            wait_s: float | None = 0.05
            if answer is not None:
                after = answer.headers.get("Retry-After")
                waits.append(None if after is None else float(after))
                wait_s = waits[-1]
            await asyncio.sleep(wait_s or 0.2)
        self.told.append(Told(message, begun, time.monotonic(), tuple(statuses), tuple(waits)))
        if talk.id is None and request.status == 200:
            talk.id = request.facts["conversation_id"]
        if self.after is not None:
            with contextlib.suppress(*LEFT, *BROKEN):
                await self.after(self, talk, request.facts)

    async def _send(
        self, person: Person, message: str, body: Mapping[str, Any]
    ) -> httpx.Response | None:
        while True:
            service = await self.one_ready()
            try:
                return await self.http.post(
                    f"{service.url}{person.chat_path}",
                    params={"messages": "turn"},
                    json=body,
                    headers=self.headers(person) | {"Idempotency-Key": message},
                )
            except httpx.ConnectError:
                # Nothing was sent: a proxy asks the next one.
                self.passed_on += 1
                self._leave_out(service)
                await asyncio.sleep(0.01)
            except (*LEFT, *BROKEN) as error:
                self.broken[type(error).__name__] += 1
                self.requests.append(
                    Request("say", person.user_id, message, message, "turn", 0, b"")
                )
                return None

    def _note(self, talk: Talk, message: str, answer: httpx.Response) -> Request:
        replayed = answer.headers.get("Idempotent-Replayed") == "true"
        told = (answer.status_code, answer.content, replayed)
        self.requests.append(Request("say", talk.person.user_id, message, message, "turn", *told))
        return self.requests[-1]

    # --- what came of it ---

    async def violations(self, url: str, crashes: Sequence[str]) -> list[Violation]:
        """What is wrong with what was told, and with what the database holds in the end."""
        rows = await all_rows(url)
        evidence = Evidence(requests=self.requests, crashes=crashes, **rows)
        return check(evidence)

    def summary(self) -> dict[str, Any]:
        """Its numbers."""
        took = sorted(one.ended_s - one.begun_s for one in self.told if one.ended_s)
        return {
            "turns": len(self.told),
            "requests": len(self.requests),
            "replayed": sum(request.replayed for request in self.requests),
            "statuses": dict(Counter(str(request.status) for request in self.requests)),
            "broken": dict(self.broken),
            "passed_on": self.passed_on,
            "left_out": self.left_out,
            "p50_s": round(took[len(took) // 2], 3) if took else None,
            "p99_s": round(took[int(len(took) * 0.99)], 3) if took else None,
            "max_s": round(took[-1], 3) if took else None,
        }


def check(evidence: Evidence) -> list[Violation]:
    """The checker's invariants, for what is said to the offline model, and its own of effects."""
    as_scripts = []
    for row in evidence.messages:
        found = MESSAGE.fullmatch(row["content"]) if row["role"] == "user" else None
        as_scripts.append({**row, "content": f"[{found[1]}]"} if found else row)
    translated = replace(evidence, messages=as_scripts)
    return [
        violation
        for checked in (*(one for one in CHECKS if one not in OF_SCRIPTS), each_is_done_once)
        for violation in checked(translated)
    ]


OF_SCRIPTS = (decisions_are_carried_out, counters_are_within_limits)
"""What these two expect follows from the scripts of another model."""


def each_is_done_once(evidence: Evidence) -> Iterator[Violation]:
    """7: who was told that a message is done finds its task, once; what was not told, at most."""
    titles = Counter((task["user_id"], task["title"]) for task in evidence.tasks)
    wanted = {(one.user, f"Parcel {one.message}") for one in evidence.requests}
    done = {(one.user, f"Parcel {one.message}") for one in evidence.requests if one.status == 200}
    for place in done:
        if titles[place] != 1:
            yield Violation(7, f"{place} was told to be done, and is there {titles[place]} times")
    for place, count in titles.items():
        if count > 1 or place not in wanted:
            yield Violation(7, f"{place} is there {count} times")
