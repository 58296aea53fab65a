"""Running cases: each has a user and a conversation of its own, and ordinary turns."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from taskchat.app import create_app
from taskchat.auth.dependencies import Authenticator
from taskchat.commands.evaluation.cases import Call, Case, made_call, problem_of
from taskchat.errors import ServiceError
from taskchat.feedback import repository as feedback
from taskchat.feedback.schemas import FeedbackAnswer
from taskchat.http.dependencies import part_of
from taskchat.moments import new_id
from taskchat.principal import Channel, Principal
from taskchat.settings import Settings
from taskchat.tasks import service as tasks
from taskchat.turns.begin import NewMessage
from taskchat.turns.deps import TurnDeps
from taskchat.turns.feedback import answer_feedback
from taskchat.turns.outcome import answer_of
from taskchat.turns.schemas import ChatAnswer
from taskchat.turns.states import TurnRef
from taskchat.turns.turn import accept_turn, ended_turn

TASKS_MAX: Final = 1000
"""Tasks of one case; files have ten."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A turn that came out wrong.

    Attributes:
        say: What was said.
        problem: What is wrong with the outcome.
        reply: The assistant's reply.
    """

    say: str
    problem: str
    reply: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one case.

    Attributes:
        case: What was run.
        miss: The first turn that came out wrong; None if all are right.
        models: The models that answered.
    """

    case: Case
    miss: Miss | None
    models: frozenset[str]


@dataclass(slots=True)
class Score:
    """How many cases of an intent came out right.

    Attributes:
        right: How many came out right.
        cases: How many there are.
    """

    right: int = 0
    cases: int = 0

    @property
    def share(self) -> float:
        """The share of right cases, from 0 to 1."""
        return self.right / self.cases if self.cases else 0.0


@dataclass(slots=True)
class Report:
    """What came of all cases.

    Attributes:
        outcomes: In the order of the file.
        intents: The score of each intent.
    """

    outcomes: Sequence[Outcome]
    intents: dict[str, Score] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for outcome in self.outcomes:
            for intent in (outcome.case.intent, "all"):
                score = self.intents.setdefault(intent, Score())
                score.cases += 1
                score.right += outcome.miss is None

    @property
    def misses(self) -> list[tuple[Case, Miss]]:
        """The cases that came out wrong."""
        return [(one.case, one.miss) for one in self.outcomes if one.miss is not None]

    @property
    def models(self) -> list[str]:
        """The models that answered, by name."""
        return sorted({name for outcome in self.outcomes for name in outcome.models})


async def evaluate(
    cases: Sequence[Case],
    settings: Settings,
    *,
    at_once: int,
    progress: Callable[[Outcome], None],
) -> Report:
    """Run all cases through the whole service: database, agent, tool server.

    Args:
        cases: What to run.
        settings: With the database to use, which is migrated, and the models to ask.
        at_once: How many cases run at the same time.
        progress: Called with each outcome as it comes.

    Raises:
        ServiceError: the database is away.
    """
    app = create_app(settings)
    running = asyncio.Semaphore(at_once)
    async with app.router.lifespan_context(app):
        deps, authenticator = part_of(app, TurnDeps), part_of(app, Authenticator)

        async def run(case: Case) -> Outcome:
            async with running:
                principal = Principal(f"eval-{new_id().hex}")
                await authenticator.known(principal)
                outcome = await _run_case(case, principal, deps)
            progress(outcome)
            return outcome

        return Report(await asyncio.gather(*(run(case) for case in cases)))


async def _run_case(case: Case, principal: Principal, deps: TurnDeps) -> Outcome:
    async with deps.database.transaction(principal) as connection:
        for seed in case.tasks:
            task = await tasks.add_task(
                connection, principal, title=seed.title, description=seed.description
            )
            if seed.completed:
                await tasks.change_task(connection, principal, task.id, completed=True)
    conversation_id = None
    models: set[str] = set()
    for turn in case.turns:
        titles = await _titles(principal, deps)
        # With a key, so that it can be asked for again after an approval.
        message = NewMessage(turn.say, conversation_id, Channel.REST, str(new_id()), str(new_id()))
        try:
            ended = await ended_turn(
                await accept_turn(message, principal=principal, deps=deps), deps
            )
            while ended.status == "awaiting_feedback":
                asked = await _approved(ended.turn, principal, deps)
                if asked is not None:
                    miss = Miss(turn.say, "it asked a question", asked)
                    return Outcome(case, miss, frozenset(models))
                ended = await ended_turn(
                    await accept_turn(message, principal=principal, deps=deps), deps
                )
            answer = ChatAnswer.model_validate_json(await answer_of(deps.database, ended, "turn"))
        except ServiceError as error:
            miss = Miss(turn.say, f"{error.code}: {error.message}", "")
            return Outcome(case, miss, frozenset(models))
        conversation_id = answer.conversation_id
        models.add(answer.model)
        made: list[Call] = [
            made_call(call.tool_name, call.parameters, titles)
            for call in answer.tool_calls
            if call.status == "completed"
        ]
        problem = problem_of(turn, made, answer.response)
        if problem is not None:
            return Outcome(case, Miss(turn.say, problem, answer.response), frozenset(models))
    return Outcome(case, None, frozenset(models))


async def _approved(turn: TurnRef, principal: Principal, deps: TurnDeps) -> str | None:
    """Approve what a turn waits for: whoever wrote the case means it. A question can't be answered.

    Returns:
        The question, if it is one.
    """
    async with deps.database.transaction(principal) as connection:
        request = await feedback.open_of(connection, principal, turn.id)
    if request is None:
        return None
    if request.kind == "question":
        return request.question
    await answer_feedback(
        request.id,
        FeedbackAnswer(answer="approve"),
        principal=principal,
        channel=Channel.REST,
        deps=deps,
        request_id=str(new_id()),
    )
    return None


async def _titles(principal: Principal, deps: TurnDeps) -> dict[int, str]:
    async with deps.database.transaction(principal) as connection:
        found = await tasks.list_tasks(connection, principal, limit=TASKS_MAX)
    return {task.id: task.title for task in found}
