"""The service with one rule broken. A checker that does not catch each of them proves nothing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import asyncpg
from sqlalchemy import text


@dataclass(frozen=True)
class Mutant:
    """One broken rule.

    Attributes:
        breaks: What it no longer does.
        apply: Breaks it, in this process.
        functions: Breaks it in functions of the database: what stands where in each, by name.
        faults: Weights of the faults under which it shows; none for a mutant that needs no fault.
        points: Crash points that processes are struck at.
        model_delay_s: How long the model thinks: longer, where two owners must meet in one turn.
        model_pace_s: How long it takes over a word of a stream, for the same reason.
        steering: How often a client has to say more to a running turn, at least.
        goals: How much has to have happened before it has shown itself for certain.
    """

    breaks: str
    apply: Callable[[], None] = lambda: None
    functions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    faults: Mapping[str, float] = field(default_factory=dict)
    points: Sequence[str] = ()
    model_delay_s: float = 0.05
    model_pace_s: float = 0.02
    steering: float = 0.0
    goals: Mapping[str, int] = field(default_factory=dict)

    async def rewrite(self, url: str) -> None:
        """Break the functions of a database."""
        connection = await asyncpg.connect(url)
        try:
            for name, (sound, broken) in self.functions.items():
                source = await connection.fetchval(
                    "SELECT pg_get_functiondef(CAST($1 AS regproc))", name
                )
                assert sound in source, (name, sound)
                await connection.execute(source.replace(sound, broken))
        finally:
            await connection.close()


def swap(owner: object, **replacements: object) -> None:
    """Put something else in the place of what a module or a class has."""
    for name, replacement in replacements.items():
        assert hasattr(owner, name), name
        setattr(owner, name, replacement)


def two_transactions() -> None:
    from taskchat.tasks import repository
    from taskchat.turns import store

    call_tool = store.record.call_tool

    async def in_two(database: Any, held: Any, *, effect: Any, **named: Any) -> Any:
        if effect.effect is not None:
            principal = held.turn.principal
            async with database.transaction(principal) as connection:
                answer = await repository.perform(connection, principal, effect)
            # What was done, for the record; see the function.
            effect = replace(effect, done=answer or "")
            # As wide as a busy machine can make it.
            await asyncio.sleep(0.05)
        return await call_tool(database, held, effect=effect, **named)

    swap(store.record, call_tool=in_two)


def old_snapshot() -> None:
    from taskchat.conversations.past import past_turns
    from taskchat.turns import background, store

    read_before: ContextVar[Any] = ContextVar("read_before")
    claim = store.claim.claim

    async def claimed(connection: Any, turn: Any, **kwargs: Any) -> Any:
        history = await past_turns(
            connection,
            turn.principal,
            turn.id,
            before=turn.number,
            turns_max=1000,
        )
        read_before.set(history)
        await asyncio.sleep(0.02)
        return await claim(connection, turn, **kwargs)

    async def stale(*_args: Any, **_kwargs: Any) -> Any:
        return read_before.get(())

    swap(store.claim, claim=claimed)
    swap(background, past_turns=stale)


def no_owner() -> None:
    from taskchat.postgres import database as db

    # The login's own role, which is a superuser's: no policy binds it.
    swap(db, APP_ROLE="none")


def new_ids() -> None:
    from taskchat.moments import new_id
    from taskchat.turns.resume import RunInput

    add = RunInput.add

    def renamed(self: RunInput, *args: Any, **kwargs: Any) -> None:
        add(self, *args, **kwargs)
        self.pending = [replace(call, call_id=f"call_{new_id().hex}") for call in self.pending]

    swap(RunInput, add=renamed)


def no_record() -> None:
    from taskchat.turns import store

    async def nothing(*_args: Any) -> list[Any]:
        return []

    swap(store.record, recorded_answers=nothing, recorded_calls=nothing)


def forgets_steering() -> None:
    from taskchat.turns import resume, store

    async def none(*_args: Any) -> list[Any]:
        return []

    steering = SimpleNamespace(**{**vars(store.steering), "of_turn": none})
    swap(resume, store=SimpleNamespace(**{**vars(store), "steering": steering}))


def counts_anew() -> None:
    from taskchat.turns import resume, store

    async def none_yet(*_args: Any) -> tuple[int, str]:
        return 0, ""

    events = SimpleNamespace(**{**vars(store.events), "last_event": none_yet})
    swap(resume, store=SimpleNamespace(**{**vars(store), "events": events}))


def open_text() -> None:
    from taskchat.turns import resume

    swap(resume, STREAMING=frozenset())


def told_early() -> None:
    from taskchat.turns.event_log import EventWriter

    add_made = EventWriter.add_made

    def told(self: EventWriter, make: Any) -> None:
        add_made(self, make)
        self._log.publish(self.held.turn, self._pending[-1:])

    swap(EventWriter, add_made=told)


def frozen_is_dead() -> None:
    from taskchat.processes.repository import DEATHS
    from taskchat.turns import store

    judged = {**store.claim._JUDGED, "deaths": (*DEATHS, "silent")}
    swap(store.claim, _JUDGED=judged)


def hasty() -> None:
    from taskchat.turns import store

    for name in ("_CLAIM", "_ADOPT"):
        patient = str(getattr(store.claim, name))
        rash = patient.replace(" AND me.since < now() - make_interval(secs => :gone_s)", "")
        assert rash != patient
        swap(store.claim, **{name: text(rash)})


def two_answers() -> None:
    from taskchat.feedback import repository
    from taskchat.turns import store

    for module, name, condition in (
        (store.feedback, "_GO_ON", " AND status = 'awaiting_feedback'"),
        (repository, "_CLOSE", " AND status = 'open'"),
    ):
        strict = str(getattr(module, name))
        lax = strict.replace(condition, "")
        assert lax != strict
        swap(module, **{name: text(lax)})


def moves_first() -> None:
    from taskchat.schedules.saying import Speaker

    accept = Speaker._accept

    async def moved(self: Speaker, due: Any, row: Any) -> Any:
        await self._advance(due, due.at, reason="done")
        return await accept(self, due, row)

    swap(Speaker, _accept=moved)


def key_of_its_own() -> None:
    from taskchat.moments import new_id
    from taskchat.schedules import saying

    key_of = saying.key_of
    swap(saying, key_of=lambda due: f"{key_of(due)} {new_id()}")


MUTANTS: dict[str, Mutant] = {
    "no_fence": Mutant(
        "a tool call asks whether its process still owns the turn",
        functions={
            "turn_call_2": (
                "AND t.attempt = _attempt\n        AND t.status = 'running' FOR SHARE",
                "FOR SHARE",
            )
        },
        faults={"freeze": 1, "freeze_point": 1},
        points=("tool.before",),
    ),
    "two_transactions": Mutant(
        "a tool's effect and its record commit together",
        two_transactions,
        functions={
            "turn_call_2": (
                "result := task_effect_1(\n            _bound_to, _effect, _done, _task, _title,"
                " _description, _completed, _listed_max);",
                "result := nullif(_done, '');",
            )
        },
        faults={"kill": 1},
    ),
    "no_queue": Mutant(
        "a turn waits for those before it",
        functions={
            "turn_begin_5": (
                "IF NOT _is_new THEN\n            SELECT count(*) INTO waiting",
                "IF false THEN\n            SELECT count(*) INTO waiting",
            )
        },
        goals={"ends": 60},
    ),
    "no_key": Mutant(
        "an Idempotency-Key is looked up",
        functions={
            "turn_begin_5": (
                "    IF _key IS NOT NULL THEN",
                "    _key := NULL;\n    IF _key IS NOT NULL THEN",
            )
        },
        goals={"ends": 60},
    ),
    "old_snapshot": Mutant(
        "a history is read after the lock is held",
        old_snapshot,
        functions={
            "turn_begin_5": (
                "    waiting := 0;\n",
                "    waiting := 0;\n    PERFORM set_config('taskchat.old', (SELECT json_agg("
                "json_build_array(t -> 0, t -> 1, t -> 2, t -> 3, NULL, NULL))::text FROM"
                " json_array_elements(coalesce(turn_history_1(_bound_to, _conversation,"
                " 2147483647, 1000), '[]')::json) AS t), true);\n",
            ),
            "turn_history_3": (
                "BEGIN\n",
                "BEGIN\n    IF coalesce(current_setting('taskchat.old', true), '') <> '' THEN\n"
                "        RETURN current_setting('taskchat.old');\n    END IF;\n",
            ),
        },
    ),
    "no_branch": Mutant(
        "what a model reads is one branch",
        functions={
            "turn_history_3": (
                "AND (_path IS NULL OR m.turn_number <@ _path OR m.turn_number = _number)",
                "",
            )
        },
        goals={"ends": 60},
    ),
    "no_owner": Mutant(
        "a statement sees one user's rows",
        no_owner,
        functions={
            "enter_1": ("'taskchat_app'", "'none'"),
            "task_effect_1": ("WHERE user_id = _owner AND (", "WHERE ("),
        },
    ),
    "last_first": Mutant(
        "a webhook is told what follows only after what precedes",
        functions={"webhook_next_1": ("ORDER BY d.seq LIMIT 1", "ORDER BY d.seq DESC LIMIT 1")},
        goals={"ends": 60},
    ),
    "new_ids": Mutant(
        "calls that were decided and did not run keep their ids",
        new_ids,
        faults={"kill": 1, "crash_point": 1},
        points=("tool.committed",),
    ),
    "unfenced_settle": Mutant(
        "a turn is ended by the attempt that runs it",
        functions={
            "turn_settle_2": (
                " AND t.attempt = _attempt\n            AND t.status = 'running'",
                "",
            )
        },
        faults={"freeze": 1},
        model_delay_s=0.8,
    ),
    "no_record": Mutant(
        "a takeover begins with what is on record",
        no_record,
        faults={"kill": 1, "crash_point": 1},
        points=("tool.committed",),
    ),
    "unread_is_over": Mutant(
        "a turn with something unread is not completed",
        functions={"turn_settle_2": ("steered := EXISTS (", "steered := false AND EXISTS (")},
        steering=0.8,
        goals={"steered": 50},
    ),
    "forgets_steering": Mutant(
        "a takeover knows what was said to its turn and read",
        forgets_steering,
        faults={"kill": 1, "crash_point": 1},
        points=("steering.read",),
        steering=0.8,
        goals={"steered": 100, "takeovers": 10},
    ),
    "unfenced_events": Mutant(
        "events are written by the attempt that runs the turn",
        functions={
            "events_append_1": (
                "WHERE t.attempt = mine.attempt AND t.status = 'running'",
                "WHERE true",
            )
        },
        faults={"freeze": 1, "freeze_point": 1},
        points=("text.heard",),
        model_pace_s=0.1,
    ),
    "counts_anew": Mutant(
        "a takeover counts its events on from those that are there",
        counts_anew,
        faults={"kill": 1, "crash_point": 1},
        points=("text.heard",),
    ),
    "open_text": Mutant(
        "a takeover drops the text that was open",
        open_text,
        faults={"kill": 1, "crash_point": 1},
        points=("text.heard",),
        # So that there nearly always is an open text where a process dies.
        model_pace_s=0.1,
    ),
    "told_early": Mutant(
        "an event is told once it is committed",
        told_early,
        faults={"kill": 1, "crash_point": 1},
        points=("events.under_way",),
    ),
    "frozen_is_dead": Mutant(
        "a process that froze is alive", frozen_is_dead, faults={"freeze": 1}, model_delay_s=0.8
    ),
    "hasty": Mutant(
        "who has just come back judges nobody",
        hasty,
        faults={"postgres_immediate": 1},
        model_delay_s=0.8,
    ),
    "two_answers": Mutant("of two answers one decides", two_answers, goals={"answered_at_once": 4}),
    "moves_first": Mutant(
        "a schedule moves on only from what was said",
        moves_first,
        faults={"kill": 1, "crash_point": 1, "cut_connections": 1},
        points=("schedule.before",),
        goals={"occurrences": 20},
    ),
    "key_of_its_own": Mutant(
        "an occurrence that is said again is the same turn",
        key_of_its_own,
        faults={"kill": 1, "crash_point": 1, "hold_ends": 2},
        points=("schedule.said",),
        goals={"occurrences": 40},
    ),
}
"""By name."""
