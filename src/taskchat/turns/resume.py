"""Resuming a turn from its record: decisions stand, and nothing is done twice."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from taskchat.assistant.circumstances import Circumstances
from taskchat.assistant.models.soundness import arguments_in
from taskchat.assistant.prompt import PromptFacts
from taskchat.assistant.record import Answer
from taskchat.assistant.run import Needs, PendingCall
from taskchat.conversations.history import (
    InputItem,
    model_input,
    output_item,
    tokens_of,
    user_item,
)
from taskchat.conversations.schemas import MessageOut, ToolCallOut
from taskchat.errors import NotFound
from taskchat.feedback import repository as feedback
from taskchat.feedback.decisions import Decisions
from taskchat.postgres.database import Connection, Database
from taskchat.postgres.line import Precedence
from taskchat.processes.repository import Lease
from taskchat.turns import store
from taskchat.turns.background import Background, read_background
from taskchat.turns.begin import AT_ONCE, Begun
from taskchat.turns.events import STREAMING, AgentState
from taskchat.turns.states import Claim, Steered, TurnRef, TurnState

UNREADABLE = "The arguments were not valid JSON; call the tool again."


@dataclass(frozen=True, slots=True)
class StartedTurn:
    """A turn that this process runs now, with all that its run needs.

    Attributes:
        held: The attempt.
        message: The user's message.
        circumstances: What is known about the sender.
        background: What its run is given besides the message.
        last_seq: How many events it has so far.
        open_stream: Whether its last attempt died while it streamed a text.
        status: The agent status that was last reported, if it is known.
        answers: The model's answers on record.
        calls: The executed calls, by the model's ids.
        decisions: What its user has decided so far.
        steered: What they have said since it began, as far as that was read.
        has_unread: Whether they have said more.
    """

    held: Claim
    message: MessageOut
    circumstances: Circumstances
    background: Background
    last_seq: int
    open_stream: bool = False
    status: AgentState | None = None
    answers: Sequence[Answer] = ()
    calls: Sequence[tuple[str, ToolCallOut]] = ()
    decisions: Decisions = field(default_factory=dict)
    steered: Sequence[Steered] = ()
    has_unread: bool = False

    @property
    def facts(self) -> PromptFacts:
        """What the instructions of its run are made from."""
        summary = self.background.summary
        return PromptFacts(
            self.circumstances, self.background.open_tasks, summary.text if summary else None
        )

    def run_input(self, needs: Needs) -> "RunInput":
        """History, the message, and what is on record of this turn.

        A summary in the instructions, which stands for older turns, counts as history.
        """
        summed_up = [user_item(self.facts.summary)] if self.facts.summary else []
        recorded = RunInput(
            history=model_input(
                self.background.history,
                tokens_max=needs.history_tokens_max
                - tokens_of(summed_up, bytes_per_token=needs.bytes_per_token),
                bytes_per_token=needs.bytes_per_token,
            ),
            items=[user_item(self.message.content)],
        )
        executed = dict(self.calls)
        steered = list(self.steered)
        for number, answer in enumerate(self.answers, 1):
            while steered and (steered[0].after_answers or 0) < number:
                recorded.items.append(user_item(steered.pop(0).content))
            # What was read after an answer was read once all its calls were done.
            last = number == len(self.answers) and not steered
            recorded.add(answer, executed, self.decisions, last=last)
        recorded.items += [user_item(one.content) for one in steered]
        return recorded


@dataclass(slots=True)
class RunInput:
    """What the agent starts from.

    Attributes:
        history: What was said before this turn.
        items: The user's message, and what is on record of this turn.
        pending: Calls to execute before the model is asked.
    """

    history: list[InputItem]
    items: list[InputItem]
    pending: list[PendingCall] = field(default_factory=list)

    def add(
        self,
        answer: Answer,
        executed: dict[str, ToolCallOut],
        decisions: Decisions,
        *,
        last: bool,
    ) -> None:
        """Append an answer and an output for each of its calls.

        Only the last answer can have calls that nobody executed. An earlier one was followed by
        another answer, so all its calls had outputs; a call that left no record never reached a
        tool.
        """
        self.items.extend(answer.items)
        for item in answer.items:
            if item.get("type") != "function_call":
                continue
            call_id = str(item["call_id"])
            done = executed.get(call_id)
            arguments = arguments_in(str(item.get("arguments") or ""))
            if done is not None:
                decided = decisions.get(call_id)
                note = decided.note if decided else None
                self.items.append(output_item(call_id, done.result, done.status, note=note))
            elif last and arguments is not None:
                self.pending.append(PendingCall(call_id, str(item["name"]), arguments))
            else:
                self.items.append(output_item(call_id, {"error": UNREADABLE}, "interrupted"))


def turn_deleted() -> NotFound:
    """The error of a turn that was deleted with its conversation."""
    return NotFound("The conversation was deleted while its turn was under way.")


def started(begun: Begun) -> StartedTurn | None:
    """The turn, if it may start as soon as it is accepted; None if it has to wait."""
    if begun.claim is None:
        return None
    return StartedTurn(
        begun.claim,
        begun.message,
        begun.circumstances,
        begun.background,
        last_seq=len(begun.events),
        status=AT_ONCE,
    )


async def claim_turn(
    database: Database,
    turn: TurnRef,
    *,
    process: UUID,
    lease: Lease,
    needs: Needs,
) -> StartedTurn | TurnState | None:
    """Take a turn whose time has come or whose owner is lost, and read it.

    Returns:
        The started turn; how far it is, if it can't be taken; None if it is gone.

    Raises:
        DatabaseError: the outcome is unknown; the lease decides.
    """
    async with database.transaction(turn.principal, Precedence.ACCEPTED) as connection:
        held = await store.claim.claim(connection, turn, process=process, lease=lease)
        if held is None:
            return await store.find.by_id(connection, turn.principal, turn.id)
        return await _read(connection, held, needs)


async def read_adopted(database: Database, held: Claim, *, needs: Needs) -> StartedTurn:
    """Read a turn that the sweeper took.

    Raises:
        NotFound: its conversation was deleted.
        DatabaseError: it can't be read at the moment.
    """
    async with database.transaction(held.turn.principal, Precedence.ACCEPTED) as connection:
        return await _read(connection, held, needs)


async def _read(connection: Connection, held: Claim, needs: Needs) -> StartedTurn:
    turn = held.turn
    said = await store.record.user_message(connection, turn)
    if said is None:
        raise turn_deleted()
    background = await read_background(connection, turn, needs, is_version=said.is_version)
    answers: Sequence[Answer] = ()
    calls: Sequence[tuple[str, ToolCallOut]] = ()
    decisions: Decisions = {}
    steered = await store.steering.of_turn(connection, turn) if said.is_steered else []
    read = [one for one in steered if one.after_answers is not None]
    if held.attempt > 1:
        answers = await store.record.recorded_answers(connection, turn)
        calls = await store.record.recorded_calls(connection, turn)
        asked = await feedback.of_turn(connection, turn.principal, turn.id)
        decisions = {id_: one for request in asked for id_, one in request.decided.items()}
    message = MessageOut(
        id=said.id,
        turn_id=turn.id,
        role="user",
        content=said.content,
        created_at=said.created_at,
        tool_calls=[],
    )
    seq, type_ = await store.events.last_event(connection, turn)
    return StartedTurn(
        held,
        message,
        Circumstances.restored(json.loads(said.circumstances or "null")),
        background,
        last_seq=seq,
        open_stream=type_ in STREAMING,
        answers=answers,
        calls=calls,
        decisions=decisions,
        steered=read,
        has_unread=len(read) < len(steered),
    )
