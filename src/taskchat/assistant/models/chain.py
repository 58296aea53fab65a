"""The chain of models as one model: repeats, time limits, fallback, and which models rest.

Repeats and the time of an attempt are the SDK's: it calls `get_response` once for every attempt,
and asks our policy whether there is to be another. The policy is where the chain moves on.
"""

import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, cast

import structlog
from agents import Model, ModelResponse, ModelSettings, Tool
from agents.exceptions import AgentsException, ModelTimeoutError
from agents.items import TResponseInputItem, TResponseStreamEvent
from agents.retry import (
    ModelRetryAdvice,
    ModelRetryAdviceRequest,
    ModelRetrySettings,
    RetryDecision,
    RetryPolicyContext,
)

from taskchat.assistant.models.asking import AnsweredNothing, Attempt, ModelFailed, NamedModel
from taskchat.assistant.models.breaker import CircuitBreaker
from taskchat.assistant.models.counting import TokenCount, bytes_of_items, bytes_of_tools
from taskchat.assistant.models.repeats import wait_before_repeat
from taskchat.assistant.models.said_before import SaidBefore
from taskchat.assistant.record import Answer, ModelRecord, model_record
from taskchat.assistant.traced import answered_in, asked_in, of_answer, of_call
from taskchat.conversations.history import InputItem, user_item
from taskchat.errors import ModelError, RunTimeout, ServiceError
from taskchat.settings import BUILT_IN, SCRIPTED, Settings
from taskchat.telemetry import metrics
from taskchat.telemetry.timing import spending
from taskchat.telemetry.traces import span

log = structlog.get_logger()

REQUESTS_OWN_FAULT: Final = frozenset({400, 413, 422})
"""Statuses that say nothing about the model: another request may well succeed."""

CALL_TOKENS_MAX: Final = 10_000_000
"""More than a model reads or writes at once; a careless vendor's count must fit the record."""


class AllRest(AgentsException):
    """Every model of the chain is resting at the moment; none was asked."""


@dataclass(slots=True)
class _Run:
    """How far one run has got with its models.

    Attributes:
        before: What was said before the turn.
        among: Places of the models that may answer it.
        at: The current model; one that has failed in a turn is not asked again in that turn.
        repeats: How often that model has been asked again for the current answer.
        attempt: What was asked last; None if nobody could be.
        failure: What the run fails with if nobody answers.
        steered: What its user has said while it ran, each with the number of items of the turn that
            it stands behind. The SDK knows nothing of it.
    """

    before: SaidBefore
    among: range
    at: int
    repeats: int = 0
    attempt: Attempt | None = None
    failure: ServiceError | None = None
    steered: list[tuple[int, str]] = field(default_factory=list)

    def with_steered(self, turn: list[TResponseInputItem]) -> list[TResponseInputItem]:
        """The items of the turn, which only grow, with what was said in between."""
        items, begin = [], 0
        for end, content in self.steered:
            items += [*turn[begin:end], cast("TResponseInputItem", user_item(content))]
            begin = end
        return [*items, *turn[begin:]]


_run: ContextVar[_Run] = ContextVar("model_chain_run")


def repeats() -> int:
    """How often the current model has been asked again for the current answer."""
    return _run.get().repeats


class ModelChain(Model):
    """Models in order of preference, as one. Every answer is recorded before the SDK sees it.

    A run's input holds only its own turn, and the history joins it at the model: the SDK walks and
    copies its whole input several times at every model call.

    Args:
        models: At least one, the preferred first; then those that only turns with a script ask.
        settings: Limits.
    """

    def __init__(self, models: Sequence[NamedModel], settings: Settings) -> None:
        self._models = models
        self._usual = range(sum(not named.on_request for named in models))
        self._repeats_max = settings.model_retries_max
        self._wait_s_max = settings.model_retry_wait_max_s
        self._breakers = [
            CircuitBreaker(
                named.name,
                # Part of this process, so it can't be away.
                failures_max=0 if named.name in BUILT_IN else settings.breaker_failures,
                open_s=settings.breaker_open_s,
            )
            for named in models
        ]
        self._counts = [TokenCount() for _ in models]
        self._measured: tuple[Sequence[Tool], int] = ((), 0)
        self.settings = ModelSettings(
            timeout=settings.model_timeout_s,
            retry=ModelRetrySettings(
                max_retries=len(models) * (self._repeats_max + 1),
                # No method: the SDK copies settings deeply, and a method with what it belongs to.
                policy=lambda context: self._decide(context),
            ),
        )
        """What the SDK does around every attempt."""

    @property
    def bytes_per_token(self) -> float:
        """That of the strictest model: which one answers is known only when it is asked."""
        return min(self._counts[at].bytes_per_token for at in self._usual)

    @contextlib.contextmanager
    def running(self, answers: Sequence[Answer]) -> Iterator[None]:
        """Bind one run's progress along the chain, from where the turn has already got to.

        The record of the run must be bound, with its history.

        Args:
            answers: What has been answered in the turn so far.

        Raises:
            RunTimeout: the last model took too long.
            ModelError: no model answered.
        """
        last = answers[-1].model if answers else None
        among = self._among(model_record())
        at = next((at for at in among if self._models[at].name == last), among.start)
        run = _Run(SaidBefore(model_record().history), among, at)
        token = _run.set(run)
        try:
            yield
        except Exception as error:
            if run.failure is not None:
                raise run.failure from error
            raise
        finally:
            _run.reset(token)

    def _among(self, record: ModelRecord) -> range:
        """The models that may answer in a run: those of the chain, or the one that it asks for."""
        if record.script is None:
            return self._usual
        at = next(at for at, named in enumerate(self._models) if named.name == SCRIPTED)
        return range(at, at + 1)

    async def get_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        *args: Any,
        **kwargs: Any,
    ) -> ModelResponse:
        """Ask the model that the run is at: one attempt.

        Raises:
            ModelFailed: it did not answer.
            AllRest: none of those that are left may be asked.
        """
        run, record = _run.get(), model_record()
        turn = _items_of(input)
        if record.has_unread:
            try:
                run.steered += [(len(turn), content) for content in await record.steered()]
            except Exception:
                # Whatever models have done before, this is none of their failures.
                run.failure = None
                raise
        turn = run.with_steered(turn)
        named, breaker = self._admitted(run)
        record.asking(named.name)
        run.attempt = Attempt(named, record, run.before)
        began = time.monotonic()
        try:
            with (
                span(f"chat {named.name}", of_call(named.name), kind="client") as traced,
                spending("model"),
            ):
                traced.content(lambda: asked_in(system_instructions, [*record.history, *turn]))
                try:
                    response = await run.attempt.answer(
                        system_instructions, turn, model_settings, tools, *args, **kwargs
                    )
                except ModelFailed as failed:
                    traced.fail(failed.reason)
                    raise
                traced.note(of_answer(response))
                traced.content(lambda: answered_in(response))
        except BaseException as error:
            # The policy decides how it went; a cancelled run says nothing.
            breaker.left()
            if isinstance(error, ServiceError):
                # It says itself how the turn ends, whatever models have done before.
                run.failure = None
            raise
        breaker.succeeded()
        run.failure, run.repeats = None, 0
        took_s = time.monotonic() - began
        if response.usage.input_tokens:
            asked = len((system_instructions or "").encode()) + bytes_of_items(turn)
            self._counts[run.at].note(
                asked + run.before.size + self._size_of(tools), response.usage.input_tokens
            )
        metrics.MODEL_SECONDS.labels(named.name).observe(took_s)
        _note(named, response, duration_ms=round(took_s * 1000))
        return response

    def _size_of(self, tools: list[Tool]) -> int:
        """The size of the tools; they are the same ones at nearly every call."""
        measured, size = self._measured
        if len(measured) != len(tools) or any(
            a is not b for a, b in zip(measured, tools, strict=True)
        ):
            size = bytes_of_tools(tools)
            self._measured = tuple(tools), size
        return size

    def _admitted(self, run: _Run) -> tuple[NamedModel, CircuitBreaker]:
        for at in range(run.at, run.among.stop):
            if self._breakers[at].admits():
                if at != run.at:
                    run.at, run.repeats = at, 0
                return self._models[at], self._breakers[at]
        run.attempt = None
        rests_s = min(breaker.rests_s for breaker in self._breakers[run.at : run.among.stop])
        run.failure = run.failure or ModelError(retry_after_s=int(rests_s) + 1)
        raise AllRest

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        """The failed model's advice on a repeat."""
        cause = request.error.__cause__
        if isinstance(cause, Exception):
            request = dataclasses.replace(request, error=cause)
        return self._models[_run.get().at].model.get_retry_advice(request)

    async def _decide(self, context: RetryPolicyContext) -> bool | RetryDecision:
        """Whether the SDK makes another attempt: at the same model, or at the next one."""
        run = _run.get()
        if run.attempt is None or not isinstance(context.error, ModelFailed | ModelTimeoutError):
            # Nobody was asked; or it is a fault of ours, which no other model would fix.
            return False
        timed_out = isinstance(context.error, ModelTimeoutError) or context.normalized.is_timeout
        run.failure = _failure(context.error, timed_out=timed_out)
        self._note_failure(run, context, timed_out=timed_out)
        # Its readers may have seen half an answer, which another one would not continue.
        model_record().broke_off()
        if not timed_out:
            decision = await self._repeat(run, context)
            if decision is not None:
                return decision
        run.at, run.repeats = run.at + 1, 0
        return run.at < run.among.stop and RetryDecision(retry=True, delay=0)

    async def _repeat(self, run: _Run, context: RetryPolicyContext) -> RetryDecision | None:
        wait = await wait_before_repeat(context, run.repeats)
        if wait is None:
            return None
        breaker = self._breakers[run.at]
        if wait.asked_for and wait.seconds > self._wait_s_max:
            breaker.rest(wait.seconds)
            return None
        if run.repeats >= self._repeats_max or breaker.rests_s > 0:
            return None
        run.repeats += 1
        return RetryDecision(retry=True, delay=wait.seconds)

    def _note_failure(self, run: _Run, context: RetryPolicyContext, *, timed_out: bool) -> None:
        name, cause = self._models[run.at].name, context.error.__cause__ or context.error
        status = context.normalized.status_code
        reason = "timeout" if timed_out else str(status or type(cause).__name__)
        log.warning("model.failed", model=name, reason=reason, repeats=run.repeats)
        metrics.MODEL_FAILURES.labels(name, reason).inc()
        if status not in REQUESTS_OWN_FAULT:
            self._breakers[run.at].failed()

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[TResponseStreamEvent]:
        """Not a way to ask this model: a run asks once, and its record hears the text.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError


def _items_of(input: str | list[TResponseInputItem]) -> list[TResponseInputItem]:
    return [{"role": "user", "content": input}] if isinstance(input, str) else input


def _failure(error: Exception, *, timed_out: bool) -> ServiceError:
    if timed_out:
        return RunTimeout()
    if isinstance(error, AnsweredNothing):
        return ModelError("The language model answered nothing; send the message again.")
    return ModelError()


def _note(named: NamedModel, response: ModelResponse, *, duration_ms: int) -> None:
    used = response.usage
    input_tokens = _counted(used.input_tokens)
    cached = getattr(used.input_tokens_details, "cached_tokens", None)
    answer = Answer(
        model=named.name,
        items=[cast("InputItem", item) for item in response.to_input_items()],
        input_tokens=input_tokens,
        output_tokens=_counted(used.output_tokens),
        cached_input_tokens=min(_counted(cached), input_tokens),
        duration_ms=duration_ms,
    )
    for direction, tokens in (
        ("input", answer.input_tokens),
        ("cached_input", answer.cached_input_tokens),
        ("output", answer.output_tokens),
    ):
        metrics.MODEL_TOKENS.labels(named.name, direction).inc(tokens)
    model_record().answered(answer)


def _counted(tokens: int | None) -> int:
    """A vendor's token count, as far as it makes sense."""
    return min(max(tokens or 0, 0), CALL_TOKENS_MAX)
