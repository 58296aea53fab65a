"""The turns that this process sees through. A job outlives the request that began it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from uuid import UUID

import structlog

from taskchat.errors import ServiceError
from taskchat.telemetry import metrics
from taskchat.telemetry.timing import spend
from taskchat.turns.states import Claim, TurnRef, TurnState, Unread

log = structlog.get_logger()


class Job:
    """One turn on its way to its end, run here or waited for.

    Attributes:
        turn: The turn by its ids.
        attempt: The attempt that runs here; None if none does.
        running: Set once the turn runs, here or elsewhere.
        settling: Whether the run is over and its outcome is being written.
        shows_conversation: Whether whoever waits for it is to be shown the conversation.
        unread: Whether its user may have said something that the run has not read.
        task: The task that sees the turn through; its result is how the turn ended.
    """

    def __init__(self, turn: TurnRef, *, shows_conversation: bool = False) -> None:
        self.turn = turn
        self.shows_conversation = shows_conversation
        self.attempt: int | None = None
        self.running = asyncio.Event()
        self.settling = False
        self.interrupted = False
        self.unread = Unread()
        self.task: asyncio.Task[TurnState]
        self._run: asyncio.Task[TurnState] | None = None
        self._made_at = time.monotonic()

    async def run(self, held: Claim, work: Coroutine[Any, Any, TurnState]) -> TurnState | None:
        """Do the work of one attempt; None if it was interrupted.

        Cancelling the job cancels the work.
        """
        self.attempt, self.settling, self.interrupted = held.attempt, False, False
        self.running.set()
        if held.attempt == 1:
            waited_s = time.monotonic() - self._made_at
            metrics.TURN_QUEUE_SECONDS.observe(waited_s)
            spend("queue", waited_s)
        self._run = asyncio.ensure_future(work)
        try:
            with metrics.TURNS_RUNNING.track_inprogress():
                return await self._run
        except asyncio.CancelledError:
            if self.interrupted:
                return None
            raise
        finally:
            self.attempt, self._run = None, None

    def interrupt(self) -> None:
        """Stop the run: the turn was cancelled, or has another owner. Its end is not touched."""
        if self._run is not None and not self.settling:
            self.interrupted = True
            self._run.cancel()


class TurnJobs:
    """All jobs of this process, by turn."""

    def __init__(self) -> None:
        self._jobs: dict[UUID, Job] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._drained_by = 0.0
        self.draining = False

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, turn_id: UUID) -> Job | None:
        """The job of a turn, if this process has one."""
        return self._jobs.get(turn_id)

    def start(
        self,
        turn: TurnRef,
        work: Callable[[Job], Coroutine[Any, Any, TurnState]],
        *,
        shows_conversation: bool = False,
    ) -> Job:
        """Begin to see a turn through; there is one job per turn."""
        job = Job(turn, shows_conversation=shows_conversation)
        job.task = asyncio.create_task(work(job), name=f"turn {turn.id}")
        self._jobs[turn.id] = job
        metrics.TURNS_UNDER_WAY.inc()
        job.task.add_done_callback(lambda task: self._done(turn.id, task))
        return job

    def _done(self, turn_id: UUID, task: asyncio.Task[TurnState]) -> None:
        self._jobs.pop(turn_id, None)
        metrics.TURNS_UNDER_WAY.dec()
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, ServiceError):
            # Nobody waits for a turn that was taken over: this is the only place to report it.
            log.error("turn.job_crashed", turn_id=str(turn_id), exc_info=error)

    def run_errand(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something for a turn whose job is over; draining doesn't wait for it."""
        errand = asyncio.create_task(work)
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    def turn_ids(self) -> list[UUID]:
        """The turns that this process sees through."""
        return list(self._jobs)

    def held(self) -> Iterable[tuple[TurnRef, int]]:
        """The turns that run here, and their attempts."""
        return [(job.turn, job.attempt) for job in self._jobs.values() if job.attempt is not None]

    def steered(self, turn_id: UUID) -> None:
        """Tell the run of a turn, if it is here, that there may be something to read."""
        job = self._jobs.get(turn_id)
        if job is not None:
            job.unread.may_be = True

    def turn_over(self, conversation_id: UUID, number: int) -> None:
        """Stop a run whose turn has ended without it."""
        for job in self._jobs.values():
            if job.turn.number == number and job.turn.conversation_id == conversation_id:
                job.interrupt()

    def hurry(self) -> None:
        """Cancel everything that is still being drained."""
        self._drained_by = 0.0
        for job in self._jobs.values():
            job.task.cancel()

    async def drain(self, *, timeout_s: float) -> int:
        """Take no more turns, finish the current ones and cancel the rest; returns how many.

        The time runs from the first call on: a second call, for late turns, has what is left of it.
        """
        now = asyncio.get_running_loop().time()
        if not self.draining:
            self.draining, self._drained_by = True, now + timeout_s
        for errand in self._errands:
            errand.cancel()
        tasks = [job.task for job in self._jobs.values()]
        if not tasks:
            return 0
        _, left = await asyncio.wait(tasks, timeout=max(0.0, self._drained_by - now))
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)
