"""A terminal in which somebody types while a turn runs, by prompt-toolkit.

Lines that are complete scroll away above the prompt. The line that is still growing, and what is
waited for, are part of the prompt: they are drawn anew with it.
"""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any, Final

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.application.run_in_terminal import in_terminal
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import create_input
from prompt_toolkit.styles import Style

from taskchat.commands.chat.sinks import Line, Sink
from taskchat.commands.chat.telling import PROMPT
from taskchat.commands.chat.texts import shown, wrapped

STYLE: Final = {
    "good": "ansigreen",
    "bad": "ansired",
    "dim": "ansibrightblack",
    "ask": "ansiyellow",
    "strong": "bold",
}

PLAIN: Final = dict.fromkeys(STYLE, "") | {"strong": "bold"}
"""Without colours there is still what is bold."""


class Terminal(Sink):
    """The terminal: a place to type, and a sink.

    Args:
        history: Where lines are kept; None keeps them for this time only.
    """

    def __init__(self, history: Path | None) -> None:
        kept: History = InMemoryHistory() if history is None else FileHistory(history)
        keyboard = create_input()
        # Nobody is asked anything while lines are printed. In the mode for that, the terminal would
        # take Ctrl-D and Ctrl-C for itself.
        keyboard.cooked_mode = contextlib.nullcontext  # type: ignore[method-assign]
        self._session: PromptSession[str] = PromptSession(
            history=kept,
            input=keyboard,
            # What grows above the prompt must not stay there: it comes as lines.
            erase_when_done=True,
        )
        self._style = Style.from_dict(PLAIN if os.environ.get("NO_COLOR") else STYLE)
        self._left = False
        self._open = ""
        self._status = ""
        self._lines: list[FormattedText] = []
        self._printing: asyncio.Task[None] | None = None

    async def typed(self) -> str:
        """The next line.

        Raises:
            KeyboardInterrupt: Ctrl-C was typed.
            EOFError: Ctrl-D was, or the terminal is gone.
        """
        line = await self._session.prompt_async(
            self._prompt, style=self._style, pre_run=self._end_typing
        )
        self._print([("class:strong", f"{PROMPT}{shown(line)}")])
        return line

    def own_keyboard(self) -> contextlib.AbstractContextManager[None]:
        """Keep what is typed between two lines for the next one."""
        return self._session.input.raw_mode()

    def leave(self) -> None:
        """Let `typed` end as Ctrl-D does, now or when it is called again."""
        self._left = True
        self._end_typing()

    def _end_typing(self) -> None:
        app = self._session.app
        if self._left and app.is_running and not app.is_done:
            app.exit(exception=EOFError())

    @property
    def has_typed(self) -> bool:
        """Whether something stands in the line that was broken off last."""
        return bool(self._session.default_buffer.text)

    async def printed(self) -> None:
        """Wait until everything stands there."""
        while self._printing is not None:
            await self._printing

    # --- the sink ---

    def line(self, line: Line) -> None:
        """A line above the prompt, and above the line that grows."""
        self._print([(f"class:{style}" if style else "", text) for style, text in line])

    def text(self, delta: str) -> None:
        """More of the line that grows, and lines above as far as they are full."""
        *full, self._open = (self._open + shown(delta)).split("\n")
        for line in full:
            self._print_wrapped(line)
        fitting, self._open = wrapped(self._open, self._columns - 1)
        for part in fitting:
            self._print([("", part)])
        self._draw()

    def end_of_text(self) -> None:
        """What has grown so far is complete."""
        if self._open:
            self._print_wrapped(self._open)
        self._open = ""

    def reply(self, content: str, *, streamed: bool) -> None:
        """The reply, unless it stands there."""
        self.end_of_text()
        if not streamed:
            for line in shown(content).split("\n"):
                self._print_wrapped(line)

    def status(self, status: str) -> None:
        """In the prompt."""
        self._status = status
        self._draw()

    def over(self) -> None:
        """A gap before what is said next."""
        self.status("")
        self.line([])

    def data(self, name: str, rows: list[dict[str, Any]], lines: list[Line]) -> None:
        """Its lines."""
        for line in lines:
            self.line(line)

    def error(self, fields: dict[str, Any], line: Line) -> None:
        """A line as any other."""
        self.line(line)

    # --- how it is drawn ---

    @property
    def _columns(self) -> int:
        return max(self._session.output.get_size().columns, 2)

    def _prompt(self) -> FormattedText:
        growing = [("", f"{self._open}\n")] if self._open else []
        waiting = [("class:dim", f"  {self._status} …\n")] if self._status else []
        return FormattedText([*growing, *waiting, ("class:strong", PROMPT)])

    def _draw(self) -> None:
        self._session.app.invalidate()

    def _print_wrapped(self, line: str) -> None:
        full, rest = wrapped(line, self._columns - 1)
        for part in (*full, rest):
            self._print([("", part)])

    def _print(self, fragments: list[tuple[str, str]]) -> None:
        self._lines.append(FormattedText(fragments))
        if self._printing is None:
            self._printing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._lines:
                async with in_terminal():
                    lines, self._lines = self._lines, []
                    for line in lines:
                        print_formatted_text(line, style=self._style)
        finally:
            self._printing = None
