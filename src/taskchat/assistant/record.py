"""What a run needs from whoever keeps its record: the agent's side of the turn's ledger."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from taskchat.assistant.approvals import Called
from taskchat.conversations.history import InputItem
from taskchat.feedback.decisions import Decision, Decisions
from taskchat.tasks.calling import ToolCaller


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered to one call.

    Attributes:
        model: Its name in the chain.
        items: The answer as input items, whole: a provider wants its reasoning back unchanged.
        input_tokens: As the vendor counted; 0 if it does not count.
        output_tokens: As the vendor counted; 0 if it does not count.
        cached_input_tokens: Input tokens that the vendor had cached; 0 if it does not say.
        duration_ms: How long the answer took.
    """

    model: str
    items: Sequence[InputItem]
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    duration_ms: int = 0


class AwaitsUser(Exception):
    """The run can't go on before its user has said something: it ends here, and begins anew then.

    Attributes:
        kind: What they are asked for.
        question: The question, if the model has put it.
        choices: Answers that the model suggests.
        calls: The calls that wait, as the model made them: id, tool, arguments.
    """

    def __init__(
        self,
        kind: Literal["approval", "question"],
        calls: Sequence[Called],
        *,
        question: str | None = None,
        choices: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        self.calls = calls
        self.question = question
        self.choices = choices
        super().__init__(kind)


class RecordedCall(ToolCaller, Protocol):
    """One tool call on its way through the task server."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What the tool is given: what the model wrote, or what its user made of it."""
        ...

    @property
    def decision(self) -> Decision | None:
        """What its user has decided on it; None if they were not asked."""
        ...

    @property
    def recorded(self) -> bool:
        """Whether the call's outcome is on record."""
        ...

    async def record_refusal(self, text: str) -> None:
        """Record a call that was refused before any tool ran."""
        ...

    async def record_result(self, result: dict[str, Any]) -> None:
        """Record a call that no tool had to run for."""
        ...


class ModelRecord(Protocol):
    """What models are asked and answer in a run. This base class keeps nothing."""

    @property
    def answers(self) -> Sequence[Answer]:
        """What has been answered in the turn so far, earlier attempts included."""
        ...

    @property
    def history(self) -> Sequence[InputItem]:
        """What the model is told before this turn's own items."""
        return ()

    @property
    def manner(self) -> str | None:
        """How the offline model is to behave in this run, as the request said."""
        return None

    @property
    def number(self) -> int:
        """The place of the run's turn in its conversation, from 1; 0 if it is no turn's."""
        return 0

    @property
    def script(self) -> str | None:
        """What the scripted model is to say in this run, as the request said."""
        return None

    @property
    def streams(self) -> bool:
        """Whether the model's text is wanted as it comes."""
        return False

    def asking(self, model: str) -> None:
        """Note that a model is being asked."""
        return

    def heard(self, delta: str) -> None:
        """Note a piece of a model's text; what follows a whole answer belongs to the next."""
        return

    def thought(self, delta: str) -> None:
        """Note a piece of what a model thinks aloud, which is no part of what it says."""
        return

    def broke_off(self) -> None:
        """Note that a model's text so far is void: it failed, or turned out to think aloud."""
        return

    @property
    def has_unread(self) -> bool:
        """Whether the user may have said something since the turn began that no model was told."""
        return False

    async def steered(self) -> Sequence[str]:
        """Read what that is, in order; the model that is asked next is told."""
        return ()

    def answered(self, answer: Answer) -> None:
        """Note an answer; it is kept with the first tool commit that follows from it."""
        ...


class RunRecord(ModelRecord, Protocol):
    """The record of one run: a turn's, in which tools are called."""

    decisions: Decisions
    """What the turn's user has decided on calls of it."""

    broken: Exception | None
    """Errors that make going on pointless: the database is away, or the turn has another owner."""

    def call(self, call_id: str, tool_name: str, arguments: dict[str, Any]) -> RecordedCall:
        """A caller for one tool call.

        Raises:
            ModelError: the turn has made as many tool calls as it may.
            AwaitsUser: its user has to be asked first.
        """
        ...


class AnswersOnly(ModelRecord):
    """The record of a run without tools, which belongs to no turn: only what it costs is kept."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []

    @property
    def answers(self) -> Sequence[Answer]:
        """What was answered."""
        return self._answers

    def answered(self, answer: Answer) -> None:
        """Keep what it cost."""
        self._answers.append(answer)


_models: ContextVar[ModelRecord] = ContextVar("model_record")
_run: ContextVar[RunRecord] = ContextVar("run_record")


@contextlib.contextmanager
def models_recorded_in(record: ModelRecord) -> Iterator[None]:
    """Bind the record of the models that are asked inside the block.

    Agent, models and bridge are built once and serve all runs; this is how they tell runs apart.
    """
    token = _models.set(record)
    try:
        yield
    finally:
        _models.reset(token)


@contextlib.contextmanager
def recorded_in(record: RunRecord) -> Iterator[None]:
    """Bind the record that the run inside the block belongs to, its tool calls too."""
    token = _run.set(record)
    try:
        with models_recorded_in(record):
            yield
    finally:
        _run.reset(token)


def model_record() -> ModelRecord:
    """The record of the model call in progress."""
    return _models.get()


def run_record() -> RunRecord:
    """The record of the run in progress."""
    return _run.get()
