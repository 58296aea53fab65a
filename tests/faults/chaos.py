"""Many clients, several real processes, and a nemesis; then a checker. `make chaos ARGS="…"`.

Progress goes to stderr and a summary as JSON to stdout; the exit code is 1 when anything is wrong.
"""

import argparse
import asyncio
import contextlib
import functools
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

import asyncpg
import httpx
from tests.factories import Person
from tests.faults.asked import Given, Shown
from tests.faults.checker import (
    DEATHS_MAX,
    Evidence,
    Request,
    Stream,
    Violation,
    check,
    show,
    verdict,
)
from tests.faults.cluster import Cluster, all_rows, query, terminate_backends
from tests.faults.hearing import BROKEN, LEFT, Answer, Hearing
from tests.faults.hooked import Post
from tests.faults.model_server import Manner, ModelServer
from tests.faults.mutants import MUTANTS
from tests.faults.pooler import Pooler
from tests.faults.processes import Fleet, Service
from tests.faults.scheduled import Scheduled
from tests.faults.serve_with_faults import POINTS
from tests.faults.waiting import until
from tests.webhooks.receiver import Got, Receiver, receiving, status

from taskchat.postgres.faults import FAULTS as DATABASE_FAULTS

LEASE_S, GRACE_S, RUN_TIMEOUT_S = 2.0, 1.0, 12.0

SILENT_S = LEASE_S + GRACE_S
"""After so long a frozen process has lost its turns."""

TIMES = {
    # Chores, too, are at a point at which a process may be struck.
    "TASKCHAT_CHORE_INTERVAL_S": "1",
    "TASKCHAT_LEASE_S": str(LEASE_S),
    "TASKCHAT_LEASE_GRACE_S": str(GRACE_S),
    # Longer than that: one that is frozen inside a transaction may wake and go on with it.
    "TASKCHAT_STATEMENT_TIMEOUT_S": "6",
    "TASKCHAT_POOL_TIMEOUT_S": "6",
    "TASKCHAT_TOOL_TIMEOUT_S": "6.3",
    "TASKCHAT_MODEL_TIMEOUT_S": "6.6",
    "TASKCHAT_QUEUE_TIMEOUT_S": "9",
    "TASKCHAT_RUN_TIMEOUT_S": str(RUN_TIMEOUT_S),
    "TASKCHAT_DRAIN_TIMEOUT_S": "13",
    "TASKCHAT_SCHEDULE_LOOK_S": "0.3",
    "TASKCHAT_SCHEDULE_INTERVAL_MIN_S": "1",
    # Nothing is so late that one would be said in the place of several.
    "TASKCHAT_SCHEDULE_LATE_AFTER_S": "3600",
    "TASKCHAT_WEBHOOK_INTERVAL_S": "0.2",
    "TASKCHAT_WEBHOOK_TIMEOUT_S": "2",
    "TASKCHAT_WEBHOOK_RETRY_S": "0.2",
    "TASKCHAT_WEBHOOK_RETRY_MAX_S": "1",
    "TASKCHAT_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
"""All limits nested as by default, and short enough to be struck within a run."""

FAULTS: Mapping[str, float] = {
    "kill": 3,
    "crash_point": 3,
    "freeze_point": 3,
    "freeze": 3,
    "terminate": 2,
    "postgres_fast": 1,
    "postgres_immediate": 1,
    "postgres_freeze": 1,
    "pooler_kill": 1,
    "cut_connections": 2,
    "hold_ends": 2,
    "model_fails": 1,
    "model_hangs_up": 1,
    "model_hangs": 1,
    "model_breaks_off": 1,
    "model_slow": 2,
}
"""What the nemesis does, by weight. Clients that leave are counted besides."""

AT_POINTS = {"crash_point": "KILL", "freeze_point": "STOP"}
"""Faults that processes are born with: they strike themselves when they pass a point of a turn."""

PASSES_MAX, MUTANT_PASSES_MAX = 40, 6
"""At which passing of its point a process is struck, at most; a mutant has to show soon."""

SCRIPTS = (
    *["add:1"] * 10,
    *["add:2"] * 5,
    *["think add:2"] * 3,
    *["add:1 add:1"] * 2,
    *["add:1 complete"] * 3,
    *["add:3 delete:2"] * 3,
    "think add:2 delete:2",
    "add:2 delete:1",
    "add:3 list",
    "list",
    "think",
)
"""What messages ask for, by frequency. Deleting two of them has to be approved."""

EXPIRES_S = (5, 5, 3600)
"""How long what a process asks may be answered: what nobody answers ends in the storm, or waits."""

NOT_ANSWERED = 0.25
"""Of what clients are asked directly, so much is left to others, or to nobody."""

APART_S, TIMES_SAID = 2, 3
"""Of a schedule by a rule: seconds between two of its times, and how many there are."""

USERS, CONVERSATIONS = 15, 40

STREAMS_EVERY = 3
"""Of so many clients one hears events; the others wait for their answers."""

HEARD_AGAIN, HEARD_AGAIN_WITHIN_S = 60, 120
"""Turns that are heard once more after the storm, and how long that may take."""

LOOK_S = 0.5
"""Between two looks at whether enough is done."""

REFUSED = 0.1
"""Of what a webhook is told, so much it does not take."""

GOALS_WITHIN_S, SETTLED_WITHIN_S = 600, 300
"""How long a storm may take to have done what it was to do, and its turns to end behind it: long
enough for any machine, for it only ends what hangs."""

MUTANT_GOALS_WITHIN_S, MUTANT_SETTLED_WITHIN_S = 120, 60
"""The same for a mutant, after which it is looked at as it is: what it breaks may be what a storm
waits for."""


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        seconds: For how long at least clients talk and the nemesis rages.
        goals: What has to have happened before it ends, by the names of `Done`: a machine that is
            slower takes longer over it.
        seed: Of everything that is drawn.
        clients: How many talk at once.
        processes: How many serve.
        mutants: The rules that the service breaks, if any.
        pause_s: The most between two faults.
        faults: Weights, by kind.
        points: Where processes are struck down.
        model_delay_s: How long the model thinks when nothing is wrong with it.
        model_pace_s: How long it then takes over a word, where it streams.
        steering: After so many of its messages a client begins a turn and says more to it.
        settled_within_s: How long its turns may take to end behind it.
        pooled: Whether processes reach the database by PgBouncer, in transaction mode.
    """

    seconds: float
    seed: int
    clients: int = 60
    processes: int = 3
    mutants: Sequence[str] = ()
    pause_s: float = 3.0
    faults: Mapping[str, float] = field(default_factory=lambda: FAULTS)
    points: Sequence[str] = tuple(POINTS)
    model_delay_s: float = 0.05
    model_pace_s: float = 0.02
    steering: float = 0.1
    goals: Mapping[str, int] = field(default_factory=dict)
    settled_within_s: float = SETTLED_WITHIN_S
    pooled: bool = False


@dataclass(frozen=True)
class Done:
    """How much has been done so far, each of it something that a storm may have as its goal.

    Attributes:
        ends: Requests that were told how their turn ended.
        takeovers: Turns that another process went on with.
        faults: Whatever the nemesis did, without the clients that left.
        fault_kinds: How many kinds of it there were.
        streams_whole: Streams that were heard from their turn's start to its end.
        reconnects: Connections by which such a stream was gone on with.
        steered: Messages that a running turn has taken.
        occurrences: Turns that a schedule has begun.
        answered: Answers to what was asked that decided.
        answered_at_once: Times that several answers met.
    """

    ends: int
    takeovers: int
    faults: int
    fault_kinds: int
    streams_whole: int
    reconnects: int
    steered: int
    occurrences: int
    answered: int
    answered_at_once: int


GOALS = tuple(one.name for one in fields(Done))


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        summary: Its numbers.
        violations: What is wrong.
    """

    summary: dict[str, Any]
    violations: list[Violation]


@dataclass
class Thread:
    """A conversation that some clients share; its id is known once its first turn was accepted.

    Every turn is given all the ones before it, so that the checker can compare them. After
    `TURNS_MAX` another conversation takes its place, or the storm would measure nothing but how
    long two cores take over histories of megabytes.
    """

    TURNS_MAX: ClassVar[int] = 40

    person: Person
    id: str | None = None
    said: int = 0
    editable: list[str] = field(default_factory=list)

    def count(self) -> None:
        """One more message was accepted."""
        self.said += 1
        if self.said == self.TURNS_MAX:
            self.id, self.said, self.editable = None, 0, []


class Chaos:
    """One run: a world, its clients and its nemesis."""

    def __init__(
        self,
        plan: Plan,
        cluster: Cluster,
        url: str,
        model: ModelServer,
        fleet: Fleet,
        receiver: Receiver,
        pooler: Pooler | None = None,
    ) -> None:
        self.pooler = pooler
        self.receiver = receiver
        self.plan = plan
        self.cluster = cluster
        self.url = url
        self.model = model
        self.fleet = fleet
        self.draw = random.Random(plan.seed)
        self.faults: Counter[str] = Counter()
        self.exits: Counter[int] = Counter()
        self.requests: list[Request] = []
        self.streams: list[Stream] = []
        self.given: list[Given] = []
        self.at_once = 0
        self.scheduled: list[Scheduled] = []
        self.services: list[Service] = []
        self.gone: list[Service] = []
        self.ended: dict[str, datetime] = {}
        self.calm = asyncio.Event()
        self.deadline = 0.0
        self._messages = 0
        self._start_s = 0.0
        self._database = asyncio.Lock()
        self._http = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=200), timeout=20
        )
        self._keeping: set[asyncio.Task[None]] = set()
        self._struck: set[str] = set()
        self._frozen: set[str] = set()
        self._steered: set[str] = set()

    # --- processes ---

    def _launch(self) -> Service:
        environment = {"TASKCHAT_FEEDBACK_EXPIRES_S": str(self.draw.choice(EXPIRES_S))}
        if self.plan.mutants:
            environment["MUTANTS"] = " ".join(self.plan.mutants)
        kinds = [kind for kind in AT_POINTS if kind in self.plan.faults]
        if kinds and self.plan.points and not self.calm.is_set() and self.draw.random() < 0.7:
            environment["FAULT_SIGNAL"] = AT_POINTS[self.draw.choice(kinds)]
            environment["FAULT_POINT"] = self.draw.choice(list(self.plan.points))
            # Mostly few: some points are seldom passed.
            most = MUTANT_PASSES_MAX if self.plan.mutants else PASSES_MAX
            environment["FAULT_PASS"] = str(round(most ** self.draw.random()))
        return self.fleet.launch(**environment)

    async def _keep(self, place: int) -> None:
        """See to it that there is always a process in this place."""
        while True:
            service = self.services[place]

            async def ended(service: Service = service) -> bool:
                return service.exit_code is not None

            await until(ended, within_s=10**6)
            self.gone.append(service)
            self.ended.setdefault(service.name, datetime.now(UTC))
            self.exits[service.exit_code or 0] += 1
            if service.exit_code == -signal.SIGKILL and service.name not in self._struck:
                self.faults["crash_point"] += 1
            replacement = self._launch()
            self.services[place] = replacement
            try:
                await self._ready(replacement, within_s=60)
            except AssertionError:
                # Struck down before it was ready, or the database is away: the next one will be.
                if replacement.exit_code is None:
                    self._struck.add(replacement.name)
                    replacement.kill()

    async def _ready(self, service: Service, *, within_s: float) -> None:
        """Wait until a process serves, and note how long that took."""
        launched = time.monotonic()
        await service.ready(within_s=within_s)
        self._start_s = time.monotonic() - launched

    # --- nemesis ---

    async def _rage(self) -> None:
        kinds = [kind for kind in self.plan.faults if kind not in AT_POINTS]
        if self.pooler is None:
            kinds = [kind for kind in kinds if kind != "pooler_kill"]
        weights = [self.plan.faults[kind] for kind in kinds]
        while kinds and not self.calm.is_set():
            # Where a start takes long the next fault comes later, or nobody would ever serve.
            pause_s = max(self.plan.pause_s, 2 * self._start_s)
            await asyncio.sleep(self.draw.uniform(0.2, pause_s))
            if self.calm.is_set():
                return
            kind = self.draw.choices(kinds, weights)[0]
            await getattr(self, f"_{kind}")()
            self.faults[kind] += 1

    def _victim(self) -> Service:
        return self.draw.choice(self.services)

    async def _kill(self) -> None:
        victim = self._victim()
        self._struck.add(victim.name)
        self.ended.setdefault(victim.name, datetime.now(UTC))
        victim.kill()

    async def _freeze(self) -> None:
        victim = self._victim()
        if victim.name not in self._frozen:
            victim.freeze()
            self._frozen.add(victim.name)
            self._later(self._thaw(victim, SILENT_S * self.draw.uniform(0.5, 1.7)))

    async def _thaw(self, victim: Service, after_s: float) -> None:
        await asyncio.sleep(after_s)
        victim.thaw()
        self._frozen.discard(victim.name)

    async def _find_frozen(self) -> None:
        """Thaw, in time, what froze itself at a point."""
        while True:
            await asyncio.sleep(0.1)
            for service in self.services:
                if service.name not in self._frozen and service.is_frozen:
                    self.faults["freeze_point"] += 1
                    self._frozen.add(service.name)
                    self._later(self._thaw(service, SILENT_S * self.draw.uniform(1.2, 1.9)))

    async def _terminate(self) -> None:
        victim = self._victim()
        victim.terminate()
        # An orchestrator's patience ends, too.
        self._later(self._insist(victim, 25))

    async def _insist(self, victim: Service, after_s: float) -> None:
        try:
            await victim.exited(within_s=after_s)
        except AssertionError:
            self.faults["would_not_stop"] += 1
            self._struck.add(victim.name)
            victim.kill()

    async def _postgres(self, mode: Literal["fast", "immediate"]) -> None:
        async with self._database:
            await asyncio.to_thread(self.cluster.stop, mode)
            await asyncio.sleep(self.draw.uniform(0, 1))
            await asyncio.to_thread(self.cluster.start)

    async def _postgres_fast(self) -> None:
        await self._postgres("fast")

    async def _postgres_immediate(self) -> None:
        await self._postgres("immediate")

    async def _postgres_freeze(self) -> None:
        async with self._database:
            self.cluster.freeze()
            try:
                await asyncio.sleep(SILENT_S * self.draw.uniform(0.3, 1.2))
            finally:
                self.cluster.thaw()

    async def _pooler_kill(self) -> None:
        if self.pooler is not None:
            self.pooler.kill()
            await asyncio.sleep(self.draw.uniform(0, 1))
            await self.pooler.start()

    async def _cut_connections(self) -> None:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await terminate_backends(self.url, self.draw)

    async def _hold_ends(self) -> None:
        """Let the minute pass for which who looks at a schedule keeps others from it."""
        with contextlib.suppress(*DATABASE_FAULTS):
            await query(
                self.url,
                "UPDATE schedules SET try_at = now() WHERE status = 'active' AND next_at <= now()",
            )

    async def _model_fails(self) -> None:
        await self._model(Manner(failing=500), 1.0)

    async def _model_hangs_up(self) -> None:
        await self._model(Manner(failing=0), 1.0)

    async def _model_hangs(self) -> None:
        await self._model(Manner(hanging=True), 1.0)

    async def _model_breaks_off(self) -> None:
        await self._model(Manner(cutting=True, pace_s=self.plan.model_pace_s), 1.0)

    async def _model_slow(self) -> None:
        delay_s = self.draw.uniform(0.3, 1.5)
        await self._model(Manner(delay_s=delay_s, pace_s=delay_s / 15), 3.0)

    async def _model(self, manner: Manner, for_s: float) -> None:
        usual, self.model.manner = self.model.manner, manner
        await asyncio.sleep(for_s * self.draw.uniform(0.5, 1))
        self.model.manner = usual

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    # --- clients ---

    def _message_id(self, person: Person) -> str:
        self._messages += 1
        return f"{person.user_id}.{self._messages}"

    async def _send(
        self,
        kind: Literal["say", "other_body", "foreign"],
        person: Person,
        message: str,
        text: str,
        conversation_id: str | None,
        *,
        key: str | None,
        timeout_s: float,
        scope: str = "turn",
        edits: str | None = None,
    ) -> Request:
        service = self._victim()
        headers = person.headers | ({"Idempotency-Key": key} if key else {})
        told = Answer()
        body = {"message": text, "conversation_id": conversation_id}
        method, path = "POST", person.chat_path
        if edits:
            del body["conversation_id"]
            method, path = "PUT", f"/api/{person.user_id}/messages/{edits}"
        try:
            answer = await self._http.request(
                method,
                f"{service.url}{path}",
                params={"messages": scope},
                json=body,
                headers=headers,
                timeout=timeout_s,
            )
        except LEFT:
            self.faults["client_left"] += 1
        except BROKEN:
            # Between two processes in one place nobody listens.
            await asyncio.sleep(0.05)
        else:
            replayed = answer.headers.get("Idempotent-Replayed") == "true"
            told = Answer(answer.status_code, answer.content, replayed)
        return self._note(kind, person, message, key, scope, told)

    def _note(
        self,
        kind: Literal["say", "other_body", "foreign", "follow", "asked"],
        person: Person,
        message: str,
        key: str | None,
        scope: str,
        told: Answer,
    ) -> Request:
        request = Request(
            kind, person.user_id, message, key, scope, told.status, told.body, told.replayed
        )
        self.requests.append(request)
        return request

    async def _hear(
        self,
        person: Person,
        message: str,
        text: str,
        conversation_id: str | None,
        *,
        key: str | None,
        timeout_s: float,
    ) -> Request:
        """Say something and hear it to its end, over as many connections as that takes."""
        hearing = Hearing(self._http, person, asked=functools.partial(self._may_answer, person))
        refusal = await self._heard(
            hearing.say(self._victim().url, text, conversation_id, key), timeout_s
        )
        while hearing.told and not hearing.is_over and time.monotonic() < self.deadline:
            # Nobody hears one that waits for an hour to its end.
            if self.draw.random() < (0.3 if hearing.waits else 0.05):
                break
            if self.draw.random() < 0.2 or self.calm.is_set():
                await self._look(person, hearing.told[-1].fields["conversation_id"])
            await self._go_on(hearing, message, self.draw.choice((0.5, 2, 10, 20)))
        told = refusal or Answer()
        if hearing.told:
            self.streams.append(hearing.stream)
            told = hearing.answer()
        return self._note("say", person, message, key, "turn", told)

    async def _go_on(self, hearing: Hearing, message: str, timeout_s: float) -> None:
        refusal = await self._heard(hearing.go_on(self._victim().url), timeout_s)
        if refusal is not None:
            self._note("follow", hearing.person, message, None, "turn", refusal)
            await asyncio.sleep(0.1)

    async def _heard(
        self, hearing: Coroutine[Any, Any, Answer | None], timeout_s: float
    ) -> Answer | None:
        """Hear for as long as the client has patience, and the process lives."""
        try:
            async with asyncio.timeout(timeout_s):
                return await hearing
        except LEFT:
            self.faults["client_left"] += 1
        except BROKEN:
            await asyncio.sleep(0.05)
        return None

    async def _talk(
        self, threads: Sequence[Thread], foreign: Sequence[Thread], *, hears: bool
    ) -> None:
        while not self.calm.is_set():
            thread = self.draw.choice(threads)
            await self._say(thread, hears=hears)
            if self.draw.random() < 0.1:
                await self._schedule(thread)
            if self.draw.random() < 0.02:
                await self._intrude(thread.person, self.draw.choice(foreign))
            await asyncio.sleep(self.draw.uniform(0, 0.3))

    async def _say(self, thread: Thread, *, hears: bool) -> None:
        """One message, until its turn has ended or its client has given up."""
        person = thread.person
        message = self._message_id(person)
        text = f"[{message}] {self.draw.choice(SCRIPTS)}"
        key = message if self.draw.random() < 0.9 else None
        # The whole conversation now and then: its bytes must be the same, too.
        scope = "all" if self.draw.random() < 0.1 and not hears else "turn"
        conversation_id = thread.id
        # Another wording of an earlier message now and then: a branch.
        edited = None
        if thread.editable and not hears and self.draw.random() < 0.1:
            edited = self.draw.choice(thread.editable)

        async def send(timeout_s: float) -> Request:
            what = (person, message, text, conversation_id)
            if hears:
                return await self._hear(*what, key=key, timeout_s=timeout_s)
            return await self._send(
                "say", *what, key=key, timeout_s=timeout_s, scope=scope, edits=edited
            )

        accepted = False
        while True:
            timeout_s = self.draw.choice((0.1, 0.5, 2, 10, 20))
            at_once = 3 if key and self.draw.random() < 0.05 else 1
            answers = await asyncio.gather(*(send(timeout_s) for _ in range(at_once)))
            for answer in answers:
                accepted = accepted or answer.turn_id is not None
                if answer.turn_id and thread.id is None:
                    thread.id = answer.facts["conversation_id"]
                if answer.facts.get("conversation_id") == thread.id:
                    said = answer.facts.get("messages", [])[-2:-1]
                    thread.editable += [one["id"] for one in said]
            ended = any(answer.is_final for answer in answers)
            asked = [one for answer in answers if answer.status == 202 for one in shown_by(answer)]
            if asked and self.draw.random() < NOT_ANSWERED:
                break
            if asked:
                await self._answer(person, asked[0])
            elif not ended and thread.id and self.draw.random() < 0.2:
                await self._look(person, thread.id)
            # After the storm nobody insists: what holds a turn up may be a question for an hour.
            if ended or key is None or self.calm.is_set() or self.draw.random() < 0.05:
                break
            turn_id = next((answer.turn_id for answer in answers if answer.turn_id), None)
            if turn_id and self.draw.random() < 0.2:
                await self._cancel(person, message, turn_id)
            if time.monotonic() > self.deadline:
                break
            await asyncio.sleep(self.draw.uniform(0, 0.2))
        if accepted:
            thread.count()
        if self.draw.random() < 0.03:
            await self._cancel_in_flight(thread, hears=hears)
        if self.draw.random() < self.plan.steering:
            await self._steer_in_flight(thread, hears=hears)
        if key and accepted and self.draw.random() < 0.05:
            await self._send(
                *("other_body", person, message, f"{text} list", conversation_id),
                key=key,
                timeout_s=5,
                edits=edited,
            )
        if key and ended and self.draw.random() < 0.1:
            await send(20)

    async def _cancel_in_flight(self, thread: Thread, *, hears: bool) -> None:
        """Begin a message and cancel it from another connection while it runs."""
        message = self._message_id(thread.person)
        # A text takes its time to be told, and so is cut short by some of these.
        steps = self.draw.choice(("add:1 add:1 add:1", "think"))
        what = (thread.person, message, f"[{message}] {steps}", thread.id)
        post = asyncio.create_task(
            self._hear(*what, key=message, timeout_s=20)
            if hears
            else self._send("say", *what, key=message, timeout_s=20)
        )
        await asyncio.sleep(self.draw.uniform(0, 0.3 if hears else 0.1))
        with contextlib.suppress(*DATABASE_FAULTS):
            rows = await query(
                self.url,
                "SELECT id FROM turns WHERE user_id = $1 AND idempotency_key = $2",
                thread.person.user_id,
                message,
            )
            for row in rows:
                await self._cancel(thread.person, message, str(row["id"]))
        await post

    async def _steer_in_flight(self, thread: Thread, *, hears: bool) -> None:
        """Begin a message, and say more to its turn while it runs, on whatever processes."""
        message = self._message_id(thread.person)
        text = f"[{message}] {self.draw.choice(SCRIPTS)}"
        what = (thread.person, message, text, thread.id)
        post = asyncio.create_task(
            self._hear(*what, key=message, timeout_s=20)
            if hears
            else self._send("say", *what, key=message, timeout_s=20)
        )
        rows: Sequence[Any] = ()
        while not rows and not post.done():
            await asyncio.sleep(0.02)
            with contextlib.suppress(*DATABASE_FAULTS):
                rows = await query(
                    self.url,
                    "SELECT id FROM turns WHERE user_id = $1 AND idempotency_key = $2",
                    thread.person.user_id,
                    message,
                )
        for row in rows:
            said = [self._message_id(thread.person) for _ in range(self.draw.randint(1, 4))]
            await asyncio.gather(*(self._steer(thread.person, str(row["id"]), one) for one in said))
        if (await post).turn_id is not None:
            thread.count()

    async def _steer(self, person: Person, turn_id: str, message: str) -> None:
        """Say something to a turn, again and again until it is acknowledged."""
        await asyncio.sleep(self.draw.uniform(0, 0.3))
        while time.monotonic() < self.deadline:
            status, body, replayed = 0, b"", False
            with contextlib.suppress(httpx.TransportError, httpx.UnsupportedProtocol):
                answer = await self._http.post(
                    f"{self._victim().url}/api/{person.user_id}/turns/{turn_id}/messages",
                    json={"message": f"[{message}]"},
                    headers=person.headers | {"Idempotency-Key": message},
                    timeout=self.draw.choice((0.2, 2, 10)),
                )
                status, body = answer.status_code, answer.content
                replayed = answer.headers.get("Idempotent-Replayed") == "true"
            request = Request(
                "steer", person.user_id, message, message, "turn", status, body, replayed
            )
            self.requests.append(request)
            if status == 200 and request.facts["steered"]:
                self._steered.add(message)
            if status == 200 and self.draw.random() < 0.9:
                return
            if status not in (0, 200, 409, 503):
                return
            if self.draw.random() < 0.03:
                return
            await asyncio.sleep(self.draw.uniform(0, 0.2))

    async def _cancel(self, person: Person, message: str, turn_id: str) -> None:
        path = f"/api/{person.user_id}/turns/{turn_id}/cancel"
        status, body = 0, b""
        with contextlib.suppress(httpx.TransportError, httpx.UnsupportedProtocol):
            answer = await self._http.post(
                f"{self._victim().url}{path}", headers=person.headers, timeout=10
            )
            status, body = answer.status_code, answer.content
        self.requests.append(
            Request("cancel", person.user_id, message, message, "turn", status, body)
        )

    def _may_answer(self, person: Person, asked: Shown) -> None:
        """Whoever hears that something is asked goes on listening, and answers besides, or not."""
        if self.draw.random() >= NOT_ANSWERED:
            self._later(self._answer(person, asked))

    async def _look(self, person: Person, conversation_id: str) -> None:
        """Whoever waits for a reply looks what holds it up, and answers that."""
        told = Answer()
        with contextlib.suppress(httpx.TransportError, httpx.UnsupportedProtocol):
            answer = await self._http.get(
                f"{self._victim().url}/api/{person.user_id}/feedback",
                params={"status": "open", "conversation_id": conversation_id},
                headers=person.headers,
                timeout=10,
            )
            told = Answer(answer.status_code, answer.content)
        for asked in shown_by(self._note("asked", person, "", None, "turn", told)):
            await self._answer(person, asked)

    async def _answer(self, person: Person, asked: Shown) -> None:
        """Answer what is asked on any process, now and then twice at once, until it is known."""
        while True:
            await asyncio.sleep(self.draw.uniform(0, 0.5))
            at_once = self.draw.choice((1, 1, 2, 3))
            answers = await asyncio.gather(
                *(self._respond(person, asked, self._decision(asked)) for _ in range(at_once))
            )
            self.at_once += sum(answer.status in {200, 409} for answer in answers) > 1
            if any(answer.status not in {0, 503} for answer in answers):
                return
            if self.draw.random() < 0.2 or time.monotonic() > self.deadline:
                return

    def _decision(self, asked: Shown) -> dict[str, Any]:
        """An answer: mostly with a comment that no other one has."""
        self._messages += 1
        comment = f"As {asked.user}.{self._messages} says."
        said = {"comment": comment} if self.draw.random() < 0.9 else {}
        first, last = asked.calls[0], asked.calls[-1]
        calls: dict[str, dict[str, Any]]
        match self.draw.choice(("yes", "yes", "no", "other_tasks", "one_of_them")):
            case "yes":
                return {"answer": "approve", **said}
            case "no":
                return {"answer": "reject", **said}
            case "one_of_them":
                calls = {last["tool_call_id"]: {"answer": "reject", **said}}
                return {"answer": "approve", "calls": calls, **said}
        # Each the other's task, or both would want the same one.
        calls = {
            one["tool_call_id"]: {"arguments": dict(other["arguments"])}
            for one, other in ((first, last), (last, first))
        }
        return {"answer": "approve", "calls": calls, **said}

    async def _respond(self, person: Person, asked: Shown, sent: Mapping[str, Any]) -> Given:
        status, body = 0, b""
        with contextlib.suppress(httpx.TransportError, httpx.UnsupportedProtocol):
            answer = await self._http.post(
                f"{self._victim().url}/api/{person.user_id}/feedback/{asked.id}/respond",
                json=sent,
                headers=person.headers,
                timeout=self.draw.choice((0.5, 2, 10)),
            )
            status, body = answer.status_code, answer.content
        given = Given(person.user_id, asked.id, sent, status, body)
        self.given.append(given)
        return given

    async def _schedule(self, thread: Thread) -> None:
        """Have something said in a few seconds, once or by a rule, there or somewhere new."""
        person = thread.person
        message = self._message_id(person)
        soon = datetime.now(UTC) + timedelta(seconds=self.draw.randint(2, 5))
        moments = [soon.replace(microsecond=0)]
        text = f"[{message}] {self.draw.choice(SCRIPTS)}"
        plan = {"at": moments[0].isoformat()}
        if self.draw.random() < 0.5:
            first = moments[0] - timedelta(seconds=moments[0].second % APART_S)
            moments = [first + timedelta(seconds=APART_S * time) for time in range(TIMES_SAID)]
            text = f"Again for {message}."
            seconds = ",".join(map(str, range(0, 60, APART_S)))
            rule = f"FREQ=MINUTELY;BYSECOND={seconds};COUNT={TIMES_SAID}"
            plan = {"rule": rule, "start": first.replace(tzinfo=None).isoformat()}
        status, body = 0, b""
        with contextlib.suppress(httpx.TransportError, httpx.UnsupportedProtocol):
            answer = await self._http.post(
                f"{self._victim().url}/api/{person.user_id}/schedules",
                json={"message": text, **plan}
                | ({"conversation_id": thread.id} if self.draw.random() < 0.5 else {}),
                headers=person.headers,
                timeout=self.draw.choice((0.2, 2, 10)),
            )
            status, body = answer.status_code, answer.content
        self.scheduled.append(Scheduled(person.user_id, text, moments, status, body))

    async def _intrude(self, person: Person, other: Thread) -> None:
        """Speak in somebody else's conversation."""
        if other.id is not None:
            message = self._message_id(person)
            await self._send(
                "foreign", person, message, f"[{message}] list", other.id, key=None, timeout_s=5
            )

    # --- the run ---

    async def run(self) -> Outcome:
        """Rage, grow calm, look."""
        people = [Person(f"u{number:02}") for number in range(USERS)]
        threads = [Thread(people[number % USERS]) for number in range(CONVERSATIONS)]
        self.model.manner = Manner(self.plan.model_delay_s, self.plan.model_pace_s)
        self.services = [self._launch() for _ in range(self.plan.processes)]
        for service in self.services:
            with contextlib.suppress(AssertionError):
                await self._ready(service, within_s=60)
        keepers = [asyncio.create_task(self._keep(place)) for place in range(len(self.services))]
        keepers.append(asyncio.create_task(self._find_frozen()))
        nemesis = asyncio.create_task(self._rage())
        begun = time.monotonic()
        self.deadline = begun + self.plan.seconds + GOALS_WITHIN_S
        talking = []
        for number in range(self.plan.clients):
            person = people[number % USERS]
            own = [thread for thread in threads if thread.person is person]
            others = [thread for thread in threads if thread.person is not person]
            hears = number % STREAMS_EVERY == 0
            talking.append(asyncio.create_task(self._talk(own, others, hears=hears)))
        try:
            await self._watch(begun, [nemesis, *talking])
            self.calm.set()
            await nemesis
            await self._kept()
            self.model.manner = Manner()
            healed = time.monotonic()
            await asyncio.gather(*talking)
            # Answers that hearers were still about to give.
            await self._kept()
            await self._leave_waiting(people)
            await self._settled(people)
            settled_s = time.monotonic() - healed
            await self._ask_again(people)
            await self._hear_again(people)
            await self._told()
            at = datetime.now(UTC)
            rows = await all_rows(self.url)
            log = [line for service in (*self.gone, *self.services) for line in crashes(service)]
            log += [
                f"exit code {service.exit_code} of {service.name}: …{service.log[-400:]}"
                for service in self.gone
                if service.exit_code not in EXPECTED_EXITS
            ]
        finally:
            for task in (*keepers, nemesis, *talking, *self._keeping):
                task.cancel()
            await asyncio.gather(*keepers, nemesis, *talking, return_exceptions=True)
            await self._http.aclose()
        evidence = Evidence(
            requests=self.requests,
            streams=self.streams,
            given=self.given,
            scheduled=self.scheduled,
            at=at,
            asked=self.model.calls,
            items=self.model.items,
            decided={
                message: frozenset(item.get("call_id", "") for item in items)
                for message, items in self.model.decided.items()
            },
            crashes=log,
            posts=[Post(got.id, got.body) for got in self.receiver.got],
            died=frozenset(
                line["process"]
                for service in self.gone
                if service.exit_code != 0
                for line in _logged(service, "app.started")
            ),
            **rows,
        )
        violations = check(evidence)
        return Outcome(self._summary(evidence, violations, settled_s), violations)

    async def _kept(self) -> None:
        """Wait for what was begun besides."""
        while self._keeping:
            await asyncio.gather(*self._keeping)

    async def _watch(self, begun: float, jobs: Sequence[asyncio.Task[None]]) -> None:
        """Let it go on until enough is done, and say how it goes."""
        while True:
            left = begun + self.plan.seconds - time.monotonic()
            if left <= 0:
                done = asdict(await self.done())
                lacking = [name for name, least in self.plan.goals.items() if done[name] < least]
                if not lacking or (self.plan.mutants and left < -MUTANT_GOALS_WITHIN_S):
                    return
                assert left > -GOALS_WITHIN_S, f"too few {lacking}: {done}"
            finished, _ = await asyncio.wait(
                jobs,
                timeout=min(left, 10) if left > 0 else LOOK_S,
                return_when=asyncio.FIRST_EXCEPTION,
            )
            for job in finished:
                job.result()
            ends = sum(request.is_final for request in self.requests)
            faults = sum(self.faults.values()) - self.faults["client_left"]
            print(
                f"{time.monotonic() - begun:5.0f} s  {len(self.requests)} requests, "
                f"{ends} ends told, {faults} faults, {self.faults['client_left']} clients left",
                file=sys.stderr,
            )

    async def done(self) -> Done:
        """How much has been done so far."""
        counts = {"takeovers": 0, "occurrences": 0}
        # A storm may have the database down at this moment.
        with contextlib.suppress(*DATABASE_FAULTS):
            [row] = await query(
                self.url,
                "SELECT count(*) FILTER (WHERE attempt > 1) AS takeovers,"
                " count(*) FILTER (WHERE channel = 'schedule') AS occurrences FROM turns",
            )
            counts = dict(row)
        struck = [kind for kind, count in self.faults.items() if count and kind != "client_left"]
        return Done(
            **counts,
            ends=sum(request.is_final for request in self.requests),
            faults=sum(self.faults[kind] for kind in struck),
            fault_kinds=len(struck),
            streams_whole=sum(stream.is_whole for stream in self.streams),
            reconnects=sum(max(stream.connections - 1, 0) for stream in self.streams),
            steered=len(self._steered),
            answered=sum(given.status == 200 for given in self.given),
            answered_at_once=self.at_once,
        )

    async def _leave_waiting(self, people: Sequence[Person]) -> None:
        """Say what nobody will answer when asked about it."""

        async def leave(person: Person) -> None:
            message = self._message_id(person)
            what = (person, message, f"[{message}] add:2 delete:2", None)
            await self._send("say", *what, key=message, timeout_s=20)

        await asyncio.gather(*map(leave, people))

    async def _settled(self, people: Sequence[Person]) -> None:
        """Give every turn the time within which it must end, or wait for its user.

        And every schedule the time within which it must have been said. Whoever waits behind one
        that waits for an hour answers what it asks.
        """
        of_user = {person.user_id: person for person in people}

        async def over() -> bool:
            await self._hold_ends()
            rows = await query(
                self.url,
                "SELECT t.user_id, t.conversation_id FROM turns AS t WHERE t.finished_at IS NULL"
                " AND NOT EXISTS (SELECT FROM feedback_requests AS f WHERE f.user_id = t.user_id"
                " AND f.turn_id = t.id AND f.expires_at > now() + interval '15 minutes'"
                " AND t.status = 'awaiting_feedback' AND f.status = 'open')"
                " UNION SELECT user_id, conversation_id FROM schedules WHERE status = 'active'",
            )
            for row in rows:
                if row["conversation_id"] is not None:
                    await self._look(of_user[row["user_id"]], str(row["conversation_id"]))
            return not rows

        # Those that wait in line wait for the ones before them, each of which has its own time.
        with contextlib.suppress(AssertionError):
            await until(over, within_s=self.plan.settled_within_s)

    async def _told(self) -> None:
        """Give the webhook the time to be told of everything."""

        async def over() -> bool:
            rows = await query(
                self.url, "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"
            )
            return bool(rows[0]["count"] == 0)

        with contextlib.suppress(AssertionError):
            await until(over, within_s=self.plan.settled_within_s)

    async def _ask_again(self, people: Sequence[Person]) -> None:
        """What was told during the storm is told again after it."""
        ended = {
            request.key: request
            for request in self.requests
            if request.kind == "say" and request.key and request.is_final
        }
        texts = await query(
            self.url,
            "SELECT t.idempotency_key, m.content, t.conversation_id, t.number,"
            " (SELECT first.id FROM messages AS first WHERE first.user_id = t.user_id"
            " AND first.conversation_id = t.conversation_id AND first.position = 0"
            " AND first.turn_number = t.version_of)::text AS edited FROM turns AS t"
            " JOIN messages AS m ON m.user_id = t.user_id AND m.turn_id = t.id AND m.position = 0"
            " WHERE t.idempotency_key IS NOT NULL",
        )
        of_user = {person.user_id: person for person in people}
        chosen = self.draw.sample(texts, min(len(texts), 200))
        for row in chosen:
            key = row["idempotency_key"]
            known = ended.get(key)
            if known is None:
                continue
            for conversation_id in (str(row["conversation_id"]), None):
                answer = await self._send(
                    "say",
                    of_user[known.user],
                    known.message,
                    row["content"],
                    conversation_id,
                    key=key,
                    timeout_s=20,
                    scope=known.scope,
                    edits=row["edited"],
                )
                # The body that began the conversation named none.
                if answer.status != 422:
                    break

    async def _hear_again(self, people: Sequence[Person]) -> None:
        """What was told during the storm, to whomever, can be heard after it."""
        of_user = {person.user_id: person for person in people}
        rows = await query(
            self.url, "SELECT user_id, id FROM turns WHERE finished_at IS NOT NULL ORDER BY id"
        )

        async def hear(row: Any) -> Stream:
            hearing = Hearing(self._http, of_user[row["user_id"]], str(row["id"]))
            give_up = time.monotonic() + HEARD_AGAIN_WITHIN_S
            while not hearing.is_over and time.monotonic() < give_up:
                # A process may still strike itself down, and takes a moment to be replaced.
                await self._go_on(hearing, "", 10)
            # The turn is over: what was not heard by now is not told.
            return replace(hearing.stream, closed=True)

        chosen = self.draw.sample(rows, min(len(rows), HEARD_AGAIN))
        self.streams += await asyncio.gather(*(hear(row) for row in chosen))

    def _takeovers(self, evidence: Evidence) -> dict[str, Any]:
        """Why turns were taken up, and how long after the death of their process they were, and
        were over."""
        turns = evidence.turns
        services = (*self.gone, *self.services)
        ended = {
            line["process"]: self.ended[service.name]
            for service in services
            if service.name in self.ended
            for line in _logged(service, "app.started")
        }
        taken = sorted(
            (line for service in services for line in _logged(service, "turn.adopted")),
            key=lambda line: str(line["timestamp"]),
        )
        last = {line["turn_id"]: line for line in taken}
        ends = {str(turn["id"]): turn["finished_at"] for turn in turns}
        of_ended = [
            line
            for line in taken
            if line["left_by"] in ended
            and ended[line["left_by"]] < datetime.fromisoformat(line["timestamp"])
        ]
        of_dead = [line for line in of_ended if line["reason"] == "gone"]
        return {
            "taken_because": dict(Counter(line["reason"] for line in taken)),
            "taken_from_the_living": dict(
                Counter(line["reason"] for line in taken if line not in of_ended)
            ),
            "failed_by_takeovers_alone": sum(
                turn["status"] == "failed"
                and evidence.deaths_of(turn) < DEATHS_MAX
                and json.loads(turn["result"])["error_code"] == "internal_error"
                for turn in turns
            ),
            "from_death_to_takeover_s": _percentiles(
                [
                    (
                        datetime.fromisoformat(line["timestamp"]) - ended[line["left_by"]]
                    ).total_seconds()
                    for line in of_dead
                ]
            ),
            "from_death_to_end_s": _percentiles(
                [
                    (ends[line["turn_id"]] - ended[line["left_by"]]).total_seconds()
                    for line in of_dead
                    if last[line["turn_id"]] is line and ends.get(line["turn_id"]) is not None
                ]
            ),
        }

    def _summary(
        self, evidence: Evidence, violations: Sequence[Violation], settled_s: float
    ) -> dict[str, Any]:
        turns = evidence.turns
        unfinished = [
            (turn["finished_at"] - turn["created_at"]).total_seconds()
            for turn in turns
            if turn["finished_at"] is not None
        ]
        kinds = {kind: count for kind, count in self.faults.items() if kind != "client_left"}
        return {
            "seed": self.plan.seed,
            "seconds": self.plan.seconds,
            "processes": self.plan.processes,
            "clients": self.plan.clients,
            "pooled": self.plan.pooled,
            "mutants": list(self.plan.mutants),
            "requests": len(self.requests),
            "replayed": sum(request.replayed for request in self.requests),
            "turns": len(turns),
            "steered": len(self._steered),
            "too_late_to_steer": len(
                {
                    request.message
                    for request in self.requests
                    if request.kind == "steer" and request.facts.get("steered") is False
                }
            ),
            "replies_dropped": sum(answer["items"] == [] for answer in evidence.answers),
            "versions": sum(turn["version_of"] is not None for turn in turns),
            "by_status": dict(Counter(turn["status"] for turn in turns)),
            "failed_with": dict(
                Counter(
                    json.loads(turn["result"])["error_code"]
                    for turn in turns
                    if turn["status"] == "failed"
                )
            ),
            "events": len(evidence.events),
            "posts": len(evidence.posts or ()),
            "posts_repeated": len(evidence.posts or ())
            - len({post.id for post in evidence.posts or ()}),
            "streams": len(self.streams),
            "streams_whole": sum(stream.is_whole for stream in self.streams),
            "reconnects": sum(max(stream.connections - 1, 0) for stream in self.streams),
            "texts_dropped": sum('"dropped":true' in event["data"] for event in evidence.events),
            "takeovers": sum(turn["attempt"] > 1 for turn in turns),
            "deaths": sum(turn["deaths"] for turn in turns),
            **self._takeovers(evidence),
            "asked": len(evidence.feedback),
            "asked_by_status": dict(Counter(row["status"] for row in evidence.feedback)),
            "edited": sum(
                bool(decision["arguments"])
                for row in evidence.feedback
                for decision in (row["decisions"] or {}).values()
            ),
            "answers": dict(Counter(str(given.status) for given in self.given)),
            "answered_at_once": self.at_once,
            "scheduled": dict(Counter(str(one.status) for one in self.scheduled)),
            "occurrences": sum(turn["channel"] == "schedule" for turn in turns),
            "occurrences_said_again": sum(
                count - 1
                for count in Counter(
                    line["turn_id"]
                    for service in (*self.gone, *self.services)
                    for line in _logged(service, "schedule.said")
                ).values()
            ),
            "occurrences_put_off": dict(
                Counter(
                    line["error_code"]
                    for service in (*self.gone, *self.services)
                    for line in _logged(service, "schedule.put_off")
                )
            ),
            "tasks": len(evidence.tasks),
            "model_calls": len(evidence.asked),
            "faults": sum(kinds.values()),
            "fault_kinds": kinds,
            "exit_codes": {str(code): count for code, count in self.exits.items()},
            "clients_left": self.faults["client_left"],
            "longest_unfinished_s": round(max(unfinished, default=0.0), 1),
            "settled_after_s": round(settled_s, 1),
            "violations": len(violations),
            "violations_by_invariant": dict(
                Counter(violation.invariant for violation in violations)
            ),
        }


def shown_by(request: Request) -> list[Shown]:
    """What a client was told by an answer that the agent asks."""
    return Evidence([request]).shown


def _logged(service: Service, event: str) -> list[dict[str, Any]]:
    """What a process logged under a name; a line that it died over is none."""
    lines = [line for line in service.log.splitlines() if f'"event": "{event}"' in line]
    return [json.loads(line) for line in lines if line.endswith("}")]


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """The middle, the 95th and the longest."""
    ranked = sorted(seconds)
    if not ranked:
        return {}
    places = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {
        name: round(ranked[min(int(share * len(ranked)), len(ranked) - 1)], 2)
        for name, share in places.items()
    }


BUGS = (
    '.crashed"',
    "turn.job_crashed",
    "Task exception was never retrieved",
    "Traceback (most recent call last)",
)
"""Log lines that no fault explains."""

EXPLAINED = ("_terminate_graceful_close",)
"""SQLAlchemy says good-bye over a connection that a fault has cut; it is thrown away anyway."""

EXPECTED_EXITS = (0, -signal.SIGKILL, -signal.SIGTERM)
"""Drained, killed, or told to stop before it had begun to listen to signals."""


def crashes(service: Service) -> list[str]:
    """What a process logged that only a bug explains."""
    return [
        line
        for line in service.log.splitlines()
        if any(bug in line for bug in BUGS) and not any(reason in line for reason in EXPLAINED)
    ]


async def chaos(plan: Plan, cluster: Cluster, folder: Path) -> Outcome:
    """One run on a database of its own."""
    url = await cluster.make_database("chaos")
    for mutant in plan.mutants:
        await MUTANTS[mutant].rewrite(url)
    draw = random.Random(plan.seed)

    async def answering(_: Got) -> bytes:
        return status(503 if draw.random() < REFUSED else 204)

    async with contextlib.AsyncExitStack() as stack:
        model = await stack.enter_async_context(ModelServer())
        receiver = await stack.enter_async_context(receiving())
        receiver.answering = answering
        environment = TIMES | {"TASKCHAT_WEBHOOK_URL": receiver.url}
        pooler, served_url = None, url
        if plan.pooled:
            pooler = await stack.enter_async_context(Pooler(cluster, folder))
            served_url = pooler.url(url)
            environment["TASKCHAT_DATABASE_DIRECT_URL"] = url
        fleet = Fleet(folder, served_url, model.url, environment)
        stack.push_async_callback(fleet.close)
        return await Chaos(plan, cluster, url, model, fleet, receiver, pooler).run()


def mutated(plan: Plan, *names: str) -> Plan:
    """The plan that brings mutants to light: one, or several that break different invariants."""
    mutants = [MUTANTS[name] for name in names]
    return Plan(
        seconds=plan.seconds,
        seed=plan.seed,
        clients=plan.clients,
        processes=plan.processes,
        mutants=names,
        pause_s=min(plan.pause_s, 1.5),
        faults={kind: weight for one in mutants for kind, weight in one.faults.items()},
        points=[point for one in mutants for point in one.points],
        model_delay_s=max(one.model_delay_s for one in mutants),
        model_pace_s=max(one.model_pace_s for one in mutants),
        steering=max(plan.steering, *(one.steering for one in mutants)),
        goals={
            **{name: least for one in mutants for name, least in one.goals.items()},
            **plan.goals,
        },
        settled_within_s=min(plan.settled_within_s, MUTANT_SETTLED_WITHIN_S),
    )


async def _main(arguments: argparse.Namespace) -> int:
    plan = Plan(
        seconds=60 * arguments.minutes,
        seed=arguments.seed,
        clients=arguments.clients,
        processes=arguments.processes,
        pause_s=arguments.pause,
        faults={kind: FAULTS[kind] for kind in arguments.only or FAULTS},
        steering=arguments.steering,
        goals=dict(arguments.goal),
        pooled=arguments.pooled,
    )
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        cluster = Cluster(folder / "cluster")
        try:
            if arguments.mutant is None:
                outcome = await chaos(plan, cluster, folder)
                return verdict(outcome.summary, outcome.violations)
            chosen = list(MUTANTS) if arguments.mutant == "all" else [arguments.mutant]
            caught = {}
            for mutant in chosen:
                print(f"mutant {mutant}: no longer {MUTANTS[mutant].breaks}", file=sys.stderr)
                logs = folder / mutant
                logs.mkdir()
                outcome = await chaos(mutated(plan, mutant), cluster, logs)
                show(outcome.violations, 3)
                caught[mutant] = outcome.summary["violations_by_invariant"]
            print(json.dumps({"mutants": caught}, indent=2))
            return 0 if all(caught.values()) else 1
        finally:
            cluster.close()


def _goal(text: str) -> tuple[str, int]:
    name, _, count = text.partition("=")
    if name not in GOALS or not count.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}: not NAME=COUNT of one of {', '.join(GOALS)}")
    return name, int(count)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text}: not between 0 and 1")
    return share


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="for how long (each mutant)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=60)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between faults, at most")
    parser.add_argument(
        "--goal",
        nargs="+",
        type=_goal,
        default=[],
        metavar="NAME=COUNT",
        help="go on until there were so many, for ten minutes more at most, such as steered=1000; "
        f"NAME is one of {', '.join(GOALS)}",
    )
    parser.add_argument(
        "--steering",
        type=_share,
        default=0.1,
        metavar="SHARE",
        help="after so many of its messages, 0 to 1, a client says more to a running turn",
    )
    parser.add_argument(
        "--pooled", action="store_true", help="with PgBouncer in transaction mode in between"
    )
    parser.add_argument("--only", nargs="+", choices=FAULTS, help="faults, in place of all")
    parser.add_argument("--mutant", choices=["all", *MUTANTS], help="break one rule, or each")
    return parser


PARSER = _parser()
"""Of the command line."""


def main() -> None:
    """Read the arguments and run."""
    sys.exit(asyncio.run(_main(PARSER.parse_args())))


if __name__ == "__main__":
    main()
