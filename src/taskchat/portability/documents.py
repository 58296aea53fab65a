"""The three forms of an export, each written line by line as it is read."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Literal

from taskchat.portability.lines import (
    AccountLine,
    AskedLine,
    Called,
    ConversationLine,
    EndLine,
    ExportLine,
    ExternalIdLine,
    Line,
    ScheduleLine,
    ShareLine,
    SteeredLine,
    TaskLine,
    TurnLine,
    UsageDayLine,
)

Format = Literal["json", "jsonl", "markdown"]

JSON_LINES: Final = "application/x-ndjson"
"""What most tools call JSON lines; nothing is registered."""

MEDIA_TYPES: Final[dict[Format, str]] = {
    "json": "application/json",
    "jsonl": JSON_LINES,
    "markdown": "text/markdown",
}

ENDINGS: Final[dict[Format, str]] = {"json": "json", "jsonl": "jsonl", "markdown": "md"}
"""Of file names."""

Writer = Callable[[Line], str]
"""Called with each line in order; returns the text that it becomes."""


def writer(form: Format) -> Writer:
    """A writer of a document of this form."""
    if form == "jsonl":
        return json_line
    return JsonDocument().write if form == "json" else markdown


def json_line(line: Line) -> str:
    """A line as itself."""
    return line.model_dump_json() + "\n"


class JsonDocument:
    """One JSON object: `conversations` with their `turns`, `tasks` and so on, `complete`."""

    _SECTIONS: Final[dict[type[Line], str]] = {
        ConversationLine: "conversations",
        TaskLine: "tasks",
        UsageDayLine: "usage_days",
        ShareLine: "shares",
        ScheduleLine: "schedules",
        ExternalIdLine: "external_ids",
        AccountLine: "accounts",
    }

    def __init__(self) -> None:
        self._to_come = list(self._SECTIONS.values())
        self._closing: list[str] = []
        self._is_first = True

    def write(self, line: Line) -> str:
        """What comes next of the document."""
        body = line.model_dump_json(exclude={"type"})
        if isinstance(line, ExportLine):
            return body[:-1]
        if isinstance(line, TurnLine):
            return self._item(body)
        if isinstance(line, ConversationLine):
            head = self._up_to("conversations") + self._close(down_to=1)
            return head + self._open(self._item(body[:-1]) + ',"turns":[', "]}")
        if isinstance(line, EndLine):
            ending = "".join(self._up_to(name) for name in list(self._to_come))
            return ending + self._close(down_to=0) + ',"complete":true}\n'
        return self._up_to(self._SECTIONS[type(line)]) + self._item(body)

    def _up_to(self, section: str) -> str:
        """Open a section, after those that come before it and are empty."""
        text = ""
        while section in self._to_come:
            name = self._to_come.pop(0)
            text += self._close(down_to=0) + self._open(f',"{name}":[', "]")
        return text

    def _item(self, text: str) -> str:
        comma = "" if self._is_first else ","
        self._is_first = False
        return comma + text

    def _open(self, text: str, closing: str) -> str:
        self._closing.append(closing)
        self._is_first = True
        return text

    def _close(self, *, down_to: int) -> str:
        text = ""
        while len(self._closing) > down_to:
            text += self._closing.pop()
            self._is_first = False
        return text


# --- Markdown ---

_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&:@$^=])")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


def markdown(line: Line) -> str:
    """A line as a person reads it. No text of the user's can end the block that it stands in."""
    if isinstance(line, ExportLine):
        what = "A conversation" if line.scope == "conversation" else "All data of a user"
        return f"# taskchat: {what}\n\nExported {_time(line.exported_at)}.\n"
    if isinstance(line, ConversationLine):
        facts = f"Begun {_time(line.created_at)}, {line.status}, {line.turn_count} turns."
        return f"\n## {_plain(line.title or 'Untitled conversation')}\n\n{facts}\n"
    if isinstance(line, TurnLine):
        return "".join(_told(line))
    if isinstance(line, TaskLine):
        box = "x" if line.completed else " "
        text = _quote(line.description, "  ") if line.description else ""
        return f"\n- [{box}] Task {line.id}: {_plain(line.title)}\n{text}"
    if isinstance(line, UsageDayLine):
        return (
            f"\n- Used on {line.day}: {_plain(line.model)}, {line.turns} turns, {line.model_calls}"
            f" model calls, {line.input_tokens} tokens in, {line.output_tokens} out\n"
        )
    if isinstance(line, ShareLine):
        return (
            f"\n- Link to {_plain(line.title or 'Untitled conversation')}, {line.turns} turns,"
            f" {'with' if line.with_tool_calls else 'without'} tool calls, until"
            f" {_time(line.expires_at)}\n"
        )
    if isinstance(line, ScheduleLine):
        when = _time(line.at) if line.at else f"by {_plain(line.rule or '')}"
        facts = f"{when}, {_plain(line.time_zone)}, {line.status}"
        return f"\n- To be said {facts}\n{_quote(line.message, '  ')}"
    if isinstance(line, ExternalIdLine):
        return f"\n- {_plain(line.protocol)} calls {line.id} {_plain(line.text)}\n"
    if isinstance(line, AccountLine):
        return f"\nAccount of {_plain(line.email)}, made {_time(line.created_at)}.\n"
    return "\n---\n\nEnd of the export.\n"


def _told(turn: TurnLine) -> list[str]:
    version = f" (another version of {turn.version_of})" if turn.version_of else ""
    parts = [f"\n### {turn.number}. User, {_time(turn.message.created_at)}{version}\n\n"]
    parts.append(_quote(turn.message.content))
    for made, call in enumerate([*turn.tool_calls, None]):
        parts += [_steered(turn, said) for said in turn.steered if _stands_before(said, made, turn)]
        parts += [_called(call)] if call else []
    parts += [_asked(asked) for asked in turn.feedback]
    if turn.reply is not None:
        cut = " (interrupted)" if turn.status == "cancelled" else ""
        parts.append(f"\n### {turn.number}. Assistant, {_time(turn.reply.created_at)}{cut}\n\n")
        parts.append(_quote(turn.reply.content))
    if turn.rating is not None:
        parts.append(f"\nRated {turn.rating.value}, {_time(turn.rating.rated_at)}\n")
        parts.append("\n" + _quote(turn.rating.comment) if turn.rating.comment else "")
    if turn.status != "completed":
        why = f": {_plain(turn.error.error)}" if turn.error else ""
        parts.append(f"\nThis turn is {turn.status.replace('_', ' ')}{why}\n")
    return parts


def _stands_before(said: SteeredLine, made: int, turn: TurnLine) -> bool:
    """Whether the turn read it when it had made so many calls; at its end, if it never did."""
    most = len(turn.tool_calls)
    return min(most if said.read_after_calls is None else said.read_after_calls, most) == made


def _steered(turn: TurnLine, said: SteeredLine) -> str:
    return f"\n### {turn.number}. User, {_time(said.created_at)} (while it ran)\n\n" + _quote(
        said.content
    )


def _called(call: Called) -> str:
    facts = f"{_plain(call.tool_name)}, {call.status}, {_time(call.executed_at)}"
    return f"\nTool call: {facts}\n\n{_code(call.parameters)}\n{_code(call.result)}"


def _asked(asked: AskedLine) -> str:
    said = [text for text in (asked.answer, asked.comment) if text]
    answer = "\n" + "\n".join(_quote(text) for text in said) if said else ""
    return f"\nAsked, {_time(asked.asked_at)}: {_plain(asked.question)} ({asked.status})\n{answer}"


def _code(value: dict[str, Any]) -> str:
    # JSON has line ends between values only; a longer run of backticks than any in it fences it.
    text = json.dumps(value, indent=2, ensure_ascii=False)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}json\n{text}\n{fence}\n"


def _quote(text: str, indent: str = "") -> str:
    return "".join(f"{indent}> {line}\n" for line in _LINE_END.split(text))


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
