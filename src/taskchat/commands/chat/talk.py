"""One conversation of a person with the service: what they type, and the turn that runs meanwhile.

Nothing here waits for the keyboard: whoever reads lines hands them to `take`, and what becomes of
them is told by a `Telling`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final

from taskchat.commands.chat.place import ChatPlace
from taskchat.commands.chat.sinks import Sink
from taskchat.commands.chat.telling import PROMPT, Telling
from taskchat.commands.chat.texts import on_a_line
from taskchat_client import (
    Client,
    Event,
    FeedbackRequest,
    FeedbackResponse,
    NotFound,
    TaskchatError,
    TurnCancelled,
    TurnStarted,
)

HISTORY_SHOWN: Final = 20
"""Messages that `/history` shows: about a screen."""

UNFINISHED: Final = ("running", "awaiting_feedback", "queued")

APPROVALS: Final = {
    "y": "approve",
    "yes": "approve",
    "approve": "approve",
    "n": "reject",
    "no": "reject",
    "reject": "reject",
}

HELP: Final = (
    ("/new", "begin another conversation"),
    ("/history", f"the last {HISTORY_SHOWN} messages of this one, or so many: /history 100"),
    ("/tasks", "what is on the list"),
    ("/cancel", "stop the turn, or withdraw what the agent asks (Ctrl-C)"),
    ("/help", "this"),
    ("/quit", "leave (Ctrl-D); a turn that runs goes on"),
    ("//…", "say something that begins with a slash"),
)


class Left(Exception):
    """Whoever talks wants to leave."""


class Talk:
    """One conversation.

    Args:
        client: Who talks.
        place: Where the conversation is remembered.
        sink: Where everything is told.
        conversation_id: The conversation to go on with; None begins one.

    Attributes:
        failed: Whether the last turn ended without a reply, or the last wish could not be met.
        stopped: Whether the last turn was stopped.
    """

    def __init__(
        self, client: Client, place: ChatPlace, sink: Sink, conversation_id: str | None
    ) -> None:
        self._client, self._place, self._sink = client, place, sink
        self._telling = Telling(sink)
        self._conversation_id = conversation_id
        self._job: asyncio.Task[None] | None = None
        self._turn_id: str | None = None
        self._asked: FeedbackRequest | None = None
        self._unsent: list[str] = []
        self._next_turns: list[str] = []
        self._cancelling = False
        self._settled = asyncio.Event()
        self.failed = self.stopped = False

    @property
    def is_running(self) -> bool:
        """Whether a turn is under way, or waits for its user."""
        return self._job is not None and not self._job.done()

    @property
    def is_asked(self) -> bool:
        """Whether the agent waits for an answer."""
        return self._asked is not None

    @property
    def can_be_stopped(self) -> bool:
        """Whether a turn runs that is not being stopped yet."""
        return self.is_running and not self._cancelling

    async def resume(self) -> None:
        """Find the conversation again, and follow what is unfinished in it."""
        if self._conversation_id is None:
            return
        try:
            await self._resume(self._conversation_id)
        except NotFound:
            self._go_to(None)
        except TaskchatError as error:
            self._fail(error)

    async def _resume(self, conversation_id: str) -> None:
        found = await self._client.conversation(conversation_id)
        if found.status == "ended":
            self._go_to(None)
            return
        named = f"“{on_a_line(found.title)}”" if found.title else "the conversation"
        turns = "1 turn" if found.turns == 1 else f"{found.turns} turns"
        self._sink.line(
            [("dim", f"Going on with {named}, {turns}. /history shows it, /new begins another.")]
        )
        for status in UNFINISHED:
            for turn in await self._client.turns(found.id, status=status):
                self._next_turns.append(turn.id)
                self._sink.line([("strong", f"{PROMPT}{on_a_line(turn.message, 200)}")])
        self._follow_next()

    async def take(self, line: str) -> None:
        """Do what a line means: a command, an answer, more for the turn that runs, or a message.

        Raises:
            Left: it says goodbye.
        """
        text = line.strip()
        if not text:
            return
        self.failed = self.stopped = False
        try:
            if text.startswith("/") and not text.startswith("//"):
                await self._command(*text[1:].partition(" ")[::2])
                return
            text = text.removeprefix("/")
            if self._asked is not None:
                await self._answer(self._asked, text)
            elif self.is_running:
                await self._steer(text)
            else:
                self._begin(self._client.stream(text, conversation_id=self._conversation_id))
        except TaskchatError as error:
            self._fail(error)

    async def settled(self) -> None:
        """Wait until no turn runs, or until it asks."""
        while self.is_running and not self.is_asked:
            self._settled.clear()
            await self._settled.wait()

    async def interrupt(self) -> bool:
        """Stop the turn that runs; returns whether there was one that was not being stopped yet."""
        if not self.can_be_stopped:
            return False
        self._cancelling = True
        self._sink.status("stopping; Ctrl-C again leaves")
        if self._turn_id is not None:
            try:
                await self._client.cancel(self._turn_id)
            except TaskchatError as error:
                # One that is over by now needs no stopping.
                if error.code != "turn_not_cancellable":
                    self._fail(error)
        return True

    async def aclose(self) -> None:
        """Stop following. The turn goes on."""
        if self._job is not None:
            self._job.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._job

    # --- commands ---

    async def _command(self, name: str, rest: str) -> None:
        commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "new": self._new,
            "history": self._history,
            "tasks": self._tasks,
            "cancel": self._cancel,
            "help": self._help,
            "quit": self._quit,
        }
        command = commands.get(name)
        if command is None:
            self._note(f"There is no /{on_a_line(name)}; /help shows what there is.")
            return
        await command(rest.strip())

    async def _new(self, _: str) -> None:
        if self.is_running:
            self._note("A turn runs. Wait for it, or /cancel it.")
            return
        self._go_to(None)
        self._note("The next message begins another conversation.")

    async def _history(self, many: str) -> None:
        newest = int(many) if many.isdecimal() and int(many) else HISTORY_SHOWN
        said = (
            await self._client.messages(self._conversation_id, newest=newest)
            if self._conversation_id
            else []
        )
        self._telling.messages(said)

    async def _tasks(self, _: str) -> None:
        self._telling.tasks(await self._client.tasks())

    async def _cancel(self, _: str) -> None:
        if not await self.interrupt():
            self._note("It is being stopped." if self.is_running else "Nothing runs.")

    async def _help(self, _: str) -> None:
        width = max(len(name) for name, _ in HELP)
        for name, does in HELP:
            self._sink.line([("strong", f"  {name:<{width}}  "), ("", does)])
        self._note("A turn reads what you type while it runs. Ctrl-C twice leaves.")

    async def _quit(self, _: str) -> None:
        raise Left

    # --- what is said ---

    async def _answer(self, asked: FeedbackRequest, text: str) -> None:
        comment = None
        if asked.kind == "approval":
            word, _, rest = text.partition(" ")
            answer = APPROVALS.get(word.rstrip(",.:;").lower())
            if answer is None:
                self._note("Type y or n; what stands behind it is told to the agent.")
                return
            comment = rest.strip() or None
        else:
            answer = text
            if text.isdecimal() and 0 < int(text) <= len(asked.choices):
                answer = asked.choices[int(text) - 1]
        # The next line is no answer to this any more, whatever becomes of this one.
        self._asked = None
        try:
            await self._client.answer(asked.feedback_id, answer, comment=comment)
        except TaskchatError:
            if self.is_running and self._turn_id == asked.turn_id:
                self._asked = asked
            raise

    async def _steer(self, text: str) -> None:
        if self._turn_id is None:
            self._unsent.append(text)
            return
        steered = await self._client.steer(self._turn_id, text)
        if steered.steered:
            self._note("told; it reads that next")
        else:
            self._next_turns.append(steered.turn_id)
            if not self.is_running:
                self._follow_next()

    def _begin(self, events: AsyncGenerator[Event, None]) -> None:
        self._job = asyncio.create_task(self._turn(events))

    def _follow_next(self) -> None:
        if self._next_turns:
            self._begin(self._client.follow(self._next_turns.pop(0)))

    async def _turn(self, events: AsyncGenerator[Event, None]) -> None:
        """Tell one turn, and those that follow from what was said to it."""
        self._turn_id, self._cancelling = None, False
        self._sink.status("sending")
        try:
            async with contextlib.aclosing(events):
                async for event in events:
                    await self._heed(event)
                    self._telling.event(event)
        except TaskchatError as error:
            self._fail(error)
        finally:
            self._turn_id, self._asked, self._cancelling = None, None, False
            self._sink.over()
            self._settled.set()
        for text in self._unsent:
            self._note(f"Not said, because the turn did not begin: {on_a_line(text)}")
        self._unsent.clear()
        if self._next_turns:
            await self._turn(self._client.follow(self._next_turns.pop(0)))

    async def _heed(self, event: Event) -> None:
        if self._turn_id is None:
            self._turn_id = event.turn_id
            if self._cancelling:
                await self._client.cancel(event.turn_id)
            unsent, self._unsent = self._unsent, []
            for text in unsent:
                await self._steer(text)
        match event:
            case TurnStarted():
                self._go_to(event.conversation_id)
            case FeedbackRequest():
                self._asked = event
                self._settled.set()
            case FeedbackResponse():
                self._asked = None
            case _:
                pass

    def _go_to(self, conversation_id: str | None) -> None:
        self._conversation_id = conversation_id
        self._place.remember(self._client.user_id, conversation_id)

    def _fail(self, error: TaskchatError) -> None:
        self.failed = True
        self.stopped = isinstance(error, TurnCancelled)
        self._telling.error(error)

    def _note(self, text: str) -> None:
        self._sink.line([("dim", f"  {text}")])
