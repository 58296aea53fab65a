"""Events of a turn in words, on whatever they are told."""

from typing import Any, Final

from taskchat.commands.chat.sinks import Line, Sink
from taskchat.commands.chat.texts import on_a_line, shown, summary
from taskchat_client import (
    AgentStatus,
    AssistantReply,
    Event,
    FeedbackRequest,
    FeedbackResponse,
    Message,
    Reasoning,
    Refused,
    StreamChunk,
    StreamEnd,
    StreamStart,
    Task,
    TaskchatError,
    ToolCall,
    ToolCallStarted,
    ToolResult,
    TurnCancelled,
    TurnFailed,
    UserMessage,
)

STATUSES: Final = {
    "queued": "waiting for the turn before",
    "thinking": "thinking",
    "responding": "answering",
}
"""What `agent_status` means to a person. While feedback is awaited, the question says it."""

PROMPT: Final = "› "


class Telling:
    """Tells one turn after another.

    Args:
        sink: On what.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._text = ""
        self._arguments: dict[str, dict[str, Any]] = {}

    def event(self, event: Event) -> None:
        """Tell an event."""
        self._sink.event(event)
        match event:
            case AgentStatus():
                self._sink.status(STATUSES.get(event.status, ""))
            case Reasoning():
                self._sink.status("thinking aloud")
            case ToolCallStarted():
                self._arguments[event.tool_call_id] = event.arguments
                self._sink.status(f"{on_a_line(event.tool_name)} {summary(event.arguments)}")
            case ToolResult():
                self._sink.line(_call(event, self._arguments.pop(event.tool_call_id, {})))
            case StreamStart():
                self._text = ""
            case StreamChunk():
                self._text += event.delta
                self._sink.text(event.delta)
            case StreamEnd():
                self._sink.end_of_text()
                if event.dropped and self._text:
                    self._sink.line([("dim", "  (never mind the text above: it begins anew)")])
                    self._text = ""
            case UserMessage():
                self._sink.line([("dim", f"  it has read: {on_a_line(event.content)}")])
            case FeedbackRequest():
                self._asked(event)
            case FeedbackResponse():
                said = on_a_line(event.answer or "")
                self._sink.line([("dim", f"  {event.status}{f': {said}' if said else ''}")])
            case AssistantReply():
                streamed = self._text.strip() == event.content.strip()
                self._sink.reply(event.content, streamed=streamed)
                self._text = ""
            case _:
                pass

    def error(self, error: TaskchatError) -> None:
        """Tell how a turn, or anything else that was asked for, failed."""
        self._sink.end_of_text()
        self._text = ""
        if isinstance(error, TurnFailed):
            fields = error.event.model_dump(mode="json")
        else:
            fields = {
                "error_code": error.code,
                "error": error.message,
                "request_id": error.request_id,
                "details": error.details if isinstance(error, Refused) else [],
            }
        if isinstance(error, TurnCancelled):
            self._sink.error(fields, [("dim", "  Stopped. What was done stays.")])
            return
        where = f"{error.code}, request {error.request_id}" if error.request_id else error.code
        refused = "".join(
            f" {detail.get('field')}: {detail.get('problem')}." for detail in fields["details"]
        )
        self._sink.error(
            fields,
            [("bad", "✗ "), ("", on_a_line(error.message + refused, 500)), ("dim", f" ({where})")],
        )

    def tasks(self, tasks: list[Task]) -> None:
        """Tell what is on the list."""
        lines: list[Line] = [
            [
                ("dim", f"{task.id:>4} "),
                ("good" if task.completed else "", "✓ " if task.completed else "· "),
                ("dim" if task.completed else "", on_a_line(task.title, 200)),
            ]
            for task in tasks
        ]
        rows = [task.model_dump(mode="json") for task in tasks]
        self._sink.data("tasks", rows, lines or [[("dim", "  The list is empty.")]])

    def messages(self, messages: list[Message]) -> None:
        """Tell what was said."""
        lines: list[Line] = []
        for message in messages:
            calls = [_listed(call) for call in message.tool_calls]
            content = shown(message.content) + (" (stopped)" if message.interrupted else "")
            if message.role == "user":
                said = content.split("\n")
                lines.append([])
                lines += [
                    [("strong", f"{'  ' if place else PROMPT}{line}")]
                    for place, line in enumerate(said)
                ]
                # Of a turn without a reply.
                lines += calls
            else:
                lines += [*calls, *([("", line)] for line in content.split("\n"))]
        rows = [message.model_dump(mode="json") for message in messages]
        self._sink.data("messages", rows, lines or [[("dim", "  Nothing has been said yet.")]])

    def _asked(self, event: FeedbackRequest) -> None:
        self._sink.end_of_text()
        self._sink.status("")
        for line in shown(event.question).split("\n"):
            self._sink.line([("ask", "? "), ("strong", line)])
        if event.kind == "approval":
            for call in event.calls:
                called = f"  {on_a_line(call.tool_name)} {summary(call.arguments)}"
                self._sink.line([("dim", called)])
            hint = "y or n; what stands behind it is told to the agent"
        else:
            for number, choice in enumerate(event.choices, 1):
                self._sink.line([("ask", f"  {number} "), ("", on_a_line(choice))])
            hint = "a number, or an answer of your own" if event.choices else "type your answer"
        self._sink.line([("dim", f"  {hint}; /cancel withdraws it")])


def _call(event: ToolResult, arguments: dict[str, Any]) -> Line:
    style, sign = ("bad", "✗") if event.is_error else ("good", "✓")
    called = [(style, f"  {sign} "), ("", on_a_line(event.tool_name))]
    return [*called, ("dim", f"{_details(arguments, event.result)}  {event.duration_ms} ms")]


def _listed(call: ToolCall) -> Line:
    sign = "✗" if call.status == "failed" else "✓"
    details = _details(call.parameters, call.result)
    return [("dim", f"  {sign} {on_a_line(call.tool_name)}{details}")]


def _details(arguments: dict[str, Any], result: dict[str, Any]) -> str:
    """What a call was given, and why it failed; what else came of it, the reply tells."""
    given = f" {summary(arguments)}" if arguments else ""
    error = result.get("error")
    return f"{given}: {on_a_line(error)}" if isinstance(error, str) else given
