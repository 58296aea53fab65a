"""A turn's events as AG-UI events: docs/ag-ui.md has the table.

Nothing here waits. What needs the database, whoever tells the events does when it is asked to.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from ag_ui.core import (
    AssistantMessage,
    BaseEvent,
    FunctionCall,
    Interrupt,
    Message,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    RunErrorEvent,
    RunFinishedCancelledOutcome,
    RunFinishedEvent,
    RunFinishedInterruptOutcome,
    RunFinishedSuccessOutcome,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    TokenUsage,
    ToolCall,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
    ToolMessage,
    UserMessage,
)

from taskchat.conversations.schemas import ToolCallOut
from taskchat.errors import TurnCancelled

APPROVAL: Final = {
    "type": "object",
    "properties": {
        "answer": {"enum": ["approve", "reject"]},
        "comment": {"type": "string", "description": "What the agent is told besides."},
        "calls": {
            "type": "object",
            "description": "What differs for some calls, by toolCallId: answer, comment, arguments",
        },
    },
    "required": ["answer"],
}
"""What an approval is answered with, as a schema that clients make a form of."""


def question(choices: Sequence[str]) -> dict[str, Any]:
    """What a question is answered with; what the agent suggests is no limit."""
    answer = {"type": "string", **({"examples": list(choices)} if choices else {})}
    return {"type": "object", "properties": {"answer": answer}, "required": ["answer"]}


class Telling:
    """One turn, told event by event.

    Args:
        thread_id: What its client calls the conversation.
        run_id: What its client calls this run.
        known: Ids of messages that the client has, of which thoughts are not told again.
        says_message: Whether to tell the user's message too: a turn that follows another.

    Attributes:
        messages: What the turn has added to the conversation so far.
        has_dropped: Whether the client was told a text that has to be forgotten. Whoever sends a
            snapshot without it clears this.
        has_acted: Whether a tool was called.
        asked: What the turn waits for, if it does.
    """

    def __init__(
        self,
        thread_id: str,
        run_id: str,
        known: Iterable[str] = (),
        *,
        says_message: bool = False,
    ) -> None:
        self.messages: list[Message] = []
        self.has_dropped = False
        self.has_acted = False
        self.asked: Interrupt | None = None
        self._thread_id = thread_id
        self._run_id = run_id
        self._known = frozenset(known)
        self._says_message = says_message
        self._called: set[str] = set()
        self._text: AssistantMessage | None = None
        self._thought: str | None = None

    def tell(self, event: dict[str, Any]) -> Iterator[BaseEvent]:
        """What one event of ours is told as; nothing, or several."""
        if event["type"] != "reasoning":
            yield from self._thought_through()
        match event["type"]:
            case "turn_started" if self._says_message:
                yield from _user_text(event)
            case "stream_start":
                yield from self._begin(event)
            case "stream_chunk":
                yield from self._say(event["delta"])
            case "stream_end":
                yield from self._end(dropped=event["dropped"])
            case "reasoning":
                yield from self._think(event)
            case "tool_call":
                yield from self._call(event)
            case "tool_result":
                yield from self._answered(event)
            case "user_message":
                content = event["content"]
                said = UserMessage(id=event["message_id"], role="user", content=content)
                self.messages.append(said)
                yield from _user_text(event)
            case "feedback_request":
                self.asked = _interrupt(event)
            case "feedback_response":
                self.asked = None
            case "assistant":
                yield from self._reply(event)
            case "turn_completed":
                yield self._completed(event["result"])
            case "error":
                yield self._failed(event)

    def interrupted(self, asked: Interrupt) -> RunFinishedEvent:
        """The run ends, and its turn waits for its user."""
        return self._finished(RunFinishedInterruptOutcome(interrupts=[asked]))

    def finished(self) -> RunFinishedEvent:
        """The run ends, and there was nothing to tell of."""
        return self._finished(RunFinishedSuccessOutcome())

    def _begin(self, event: dict[str, Any]) -> Iterator[BaseEvent]:
        # What it becomes is not known yet: the reply, or something said before a tool is called.
        self._text = AssistantMessage(id=_text_id(event), role="assistant", content="")
        self.messages.append(self._text)
        yield TextMessageStartEvent(message_id=self._text.id, role="assistant")

    def _say(self, delta: str) -> Iterator[BaseEvent]:
        if self._text is not None and delta:
            self._text.content = f"{self._text.content}{delta}"
            yield TextMessageContentEvent(message_id=self._text.id, delta=delta)

    def _end(self, *, dropped: bool) -> Iterator[BaseEvent]:
        text, self._text = self._text, None
        if text is None:
            return
        if dropped:
            self.messages.remove(text)
            self.has_dropped = True
        yield TextMessageEndEvent(message_id=text.id)

    def _reply(self, event: dict[str, Any]) -> Iterator[BaseEvent]:
        last = self.messages[-1] if self.messages else None
        if isinstance(last, AssistantMessage) and last.content == event["content"]:
            return
        # Not streamed, as in turns of plain JSON requests.
        id_ = event["message_id"]
        reply = AssistantMessage(id=id_, role="assistant", content=event["content"])
        self.messages.append(reply)
        yield TextMessageStartEvent(message_id=id_, role="assistant")
        if event["content"]:
            yield TextMessageContentEvent(message_id=id_, delta=event["content"])
        yield TextMessageEndEvent(message_id=id_)

    def _think(self, event: dict[str, Any]) -> Iterator[BaseEvent]:
        if self._thought is None:
            self._thought = f"{event['turn_id']}-thought-{event['seq']}"
            if self._thought not in self._known:
                yield ReasoningMessageStartEvent(message_id=self._thought, role="reasoning")
        if self._thought not in self._known and event["delta"]:
            yield ReasoningMessageContentEvent(message_id=self._thought, delta=event["delta"])

    def _thought_through(self) -> Iterator[BaseEvent]:
        thought, self._thought = self._thought, None
        if thought is not None and thought not in self._known:
            yield ReasoningMessageEndEvent(message_id=thought)

    def _call(self, event: dict[str, Any]) -> Iterator[BaseEvent]:
        id_ = event["tool_call_id"]
        if id_ in self._called:
            # Told again by whoever took the turn over, or once its user has approved it.
            return
        self._called.add(id_)
        arguments = _compact(event["arguments"])
        self.messages.append(_calling(id_, event["tool_name"], arguments))
        yield ToolCallStartEvent(tool_call_id=id_, tool_call_name=event["tool_name"])
        yield ToolCallArgsEvent(tool_call_id=id_, delta=arguments)
        yield ToolCallEndEvent(tool_call_id=id_)

    def _answered(self, event: dict[str, Any]) -> Iterator[BaseEvent]:
        self.has_acted = True
        result = _result(event["tool_call_id"], event["result"])
        if any(one.id == result.id for one in self.messages):
            return
        self.messages.append(result)
        yield ToolCallResultEvent(
            message_id=result.id,
            tool_call_id=result.tool_call_id,
            content=_compact(event["result"]),
            role="tool",
        )

    def _completed(self, result: dict[str, Any]) -> RunFinishedEvent:
        usage = result["usage"]
        tokens = TokenUsage(
            model=result["model"],
            input_tokens=usage["input_tokens"],
            output_tokens=usage["output_tokens"],
            total_tokens=usage["input_tokens"] + usage["output_tokens"],
        )
        return self._finished(RunFinishedSuccessOutcome(), result=result, usage=[tokens])

    def _failed(self, event: dict[str, Any]) -> RunFinishedEvent | RunErrorEvent:
        if event["error_code"] == TurnCancelled.code:
            return self._finished(RunFinishedCancelledOutcome())
        return RunErrorEvent(message=event["error"], code=event["error_code"])

    def _finished(self, outcome: Any, **fields: Any) -> RunFinishedEvent:
        return RunFinishedEvent(
            thread_id=self._thread_id, run_id=self._run_id, outcome=outcome, **fields
        )


def _user_text(event: dict[str, Any]) -> Iterator[BaseEvent]:
    """What the user has said, where their client may not know of it."""
    id_ = event["message_id"]
    yield TextMessageStartEvent(message_id=id_, role="user")
    yield TextMessageContentEvent(message_id=id_, delta=event["content"])
    yield TextMessageEndEvent(message_id=id_)


def called_messages(calls: Iterable[ToolCallOut]) -> Iterator[Message]:
    """Tool calls of a turn that is over, as they would have been told."""
    for call in calls:
        yield _calling(str(call.id), call.tool_name, _compact(call.parameters))
        yield _result(str(call.id), call.result)


def _text_id(event: dict[str, Any]) -> str:
    return f"{event['turn_id']}-text-{event['seq']}"


def _calling(id_: str, name: str, arguments: str) -> AssistantMessage:
    """A call in a message of its own, named as clients name it that build it of events."""
    call = ToolCall(id=id_, type="function", function=FunctionCall(name=name, arguments=arguments))
    return AssistantMessage(id=id_, role="assistant", tool_calls=[call])


def _result(id_: str, result: dict[str, Any]) -> ToolMessage:
    return ToolMessage(id=f"{id_}-result", role="tool", tool_call_id=id_, content=_compact(result))


def _interrupt(event: dict[str, Any]) -> Interrupt:
    calls = event["calls"]
    is_approval = event["kind"] == "approval"
    return Interrupt(
        id=event["feedback_id"],
        reason="tool_call" if is_approval else "input_required",
        message=event["question"],
        tool_call_id=calls[0]["tool_call_id"] if len(calls) == 1 else None,
        response_schema=APPROVAL if is_approval else question(event["choices"]),
        expires_at=event["expires_at"],
        metadata={"kind": event["kind"], "choices": event["choices"], "calls": calls},
    )


def _compact(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
