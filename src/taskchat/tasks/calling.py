"""Who calls a tool. No tool takes a user id: it acts for the caller that was bound around the call.

A caller is a turn that runs, or a verified request; a model, a header or an argument can't name
another.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar
from uuid import UUID

from pydantic import BaseModel

from taskchat.postgres.database import Database
from taskchat.principal import Principal
from taskchat.tasks import repository
from taskchat.tasks.effects import TaskEffect

Result = TypeVar("Result", bound=BaseModel)


class ToolFailure(Exception):
    """A tool refused. Its text is one sentence that tells the model what to do next."""


Asks = Callable[[str, Mapping[str, Any]], str | None]
"""From a tool and arguments, what its user is to be asked before; None if nothing."""


class ToolCaller(Protocol):
    """Who calls a tool, and what else is committed with its effect."""

    @property
    def principal(self) -> Principal:
        """Whose tasks these are."""
        ...

    @property
    def conversation_id(self) -> UUID | None:
        """The conversation in which it is called; None if it is called outside of one."""
        ...

    def question_about(self, name: str, arguments: Mapping[str, Any]) -> str | None:
        """What the user is to be asked before a call; None if they need not be asked."""
        ...

    async def perform(self, effect: TaskEffect, result_type: type[Result]) -> Result:
        """Carry out the effect for the principal and return its result.

        Raises:
            ToolFailure: the effect refused.
            ServiceError: the effect could not run at all.
        """
        ...


class DirectCaller:
    """A caller with nothing else to commit.

    Args:
        database: Where the tasks are stored.
        principal: Whose tasks these are.
        asks: What they are to be asked before a call with such arguments; nothing by default.
    """

    def __init__(
        self, database: Database, principal: Principal, asks: Asks = lambda _name, _arguments: None
    ) -> None:
        self.principal = principal
        self.conversation_id: UUID | None = None
        self._database = database
        self._asks = asks

    def question_about(self, name: str, arguments: Mapping[str, Any]) -> str | None:
        """What the user is to be asked before a call."""
        return self._asks(name, arguments)

    async def perform(self, effect: TaskEffect, result_type: type[Result]) -> Result:
        """Carry out the effect, in a transaction of its own."""
        async with self._database.transaction(self.principal) as connection:
            answer = await repository.perform(connection, self.principal, effect)
        if answer is None:
            raise ToolFailure(effect.refusal)
        return result_type.model_validate_json(answer)


_caller: ContextVar[ToolCaller] = ContextVar("tool_caller")


@contextlib.contextmanager
def calling_as(caller: ToolCaller) -> Iterator[None]:
    """Bind who acts, for the calls made inside the block."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def current_caller() -> ToolCaller:
    """Who calls the tool that runs."""
    return _caller.get()
