"""Where what happens in a turn is told: on a terminal, in a pipe, or as lines of JSON."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from taskchat.commands.chat.texts import shown
from taskchat_client import Event

Line = Sequence[tuple[str, str]]
"""Pieces of text, each behind the name of its style."""

COLOURS: Final[dict[str, dict[str, Any]]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "dim": {"dim": True},
    "ask": {"fg": "yellow"},
    "strong": {"bold": True},
}


class Sink:
    """Takes what is to be seen. One of its kinds shows what it defines, and nothing of the rest."""

    def event(self, event: Event) -> None:
        """An event, before it is told in words."""

    def line(self, line: Line) -> None:
        """One line that is complete."""

    def text(self, delta: str) -> None:
        """More of a reply that is being streamed."""

    def end_of_text(self) -> None:
        """It is complete, or broken off."""

    def reply(self, content: str, *, streamed: bool) -> None:
        """The whole reply, and whether it has been streamed already."""

    def status(self, status: str) -> None:
        """What is waited for; nothing if that is the user."""

    def over(self) -> None:
        """The turn is, and the user is waited for."""

    def data(self, name: str, rows: list[dict[str, Any]], lines: list[Line]) -> None:
        """A list that was asked for: its rows, and how they are shown."""

    def error(self, fields: dict[str, Any], line: Line) -> None:
        """What went wrong: for programs, and for people."""


class Printed(Sink):
    """A terminal that nothing is typed in meanwhile, or a pipe.

    Args:
        streams: Whether a reply is shown as it grows. In a pipe it would hold what was dropped.
    """

    def __init__(self, *, streams: bool) -> None:
        self._streams, self._open = streams, False

    def line(self, line: Line) -> None:
        """Beside the reply: on stderr if stdout is read by a program."""
        self.end_of_text()
        _print(line, err=not self._streams)

    def text(self, delta: str) -> None:
        """More of it, at once."""
        if self._streams:
            click.echo(shown(delta), nl=False)
            self._open = True

    def end_of_text(self) -> None:
        """The line's end."""
        if self._open:
            click.echo()
        self._open = False

    def reply(self, content: str, *, streamed: bool) -> None:
        """The reply, unless it stands there."""
        self.end_of_text()
        if not (streamed and self._streams):
            click.echo(shown(content))

    def data(self, name: str, rows: list[dict[str, Any]], lines: list[Line]) -> None:
        """Its lines; they were asked for, and so belong to stdout."""
        for line in lines:
            _print(line, err=False)

    def error(self, fields: dict[str, Any], line: Line) -> None:
        """On stderr."""
        self.end_of_text()
        _print(line, err=True)


class JsonLines(Sink):
    """Events as they come, a line each. Whatever is printed is ASCII, and so harmless anywhere."""

    def event(self, event: Event) -> None:
        """The event."""
        _print_json(event.model_dump(mode="json"))

    def data(self, name: str, rows: list[dict[str, Any]], lines: list[Line]) -> None:
        """All rows in one line."""
        _print_json({"type": name, "data": rows})

    def error(self, fields: dict[str, Any], line: Line) -> None:
        """As the event `error` is."""
        _print_json({"type": "error", **fields})


def is_coloured(*, err: bool) -> bool:
    """Whether a stream is a terminal whose user has nothing against colours."""
    from os import environ

    stream = sys.stderr if err else sys.stdout
    return stream.isatty() and not environ.get("NO_COLOR")


def _print(line: Line, *, err: bool) -> None:
    coloured = is_coloured(err=err)
    click.echo(
        "".join(
            click.style(text, **COLOURS[style]) if coloured and style else text
            for style, text in line
        ),
        err=err,
        color=coloured,
    )


def _print_json(fields: dict[str, Any]) -> None:
    click.echo(json.dumps(fields))
    # Whoever reads the lines acts on them while the turn runs.
    sys.stdout.flush()
