"""The service as a test sees it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from uuid import uuid4

TOKEN_TTL_S: Final = 86_400
"""Longer than a test run."""

Turn: TypeAlias = str | Sequence[Mapping[str, Any]] | Mapping[str, Any]
"""What the model answers in one turn: a text, its answers, or a whole turn of a script's."""


@dataclass(frozen=True, slots=True)
class TaskchatUser:
    """A user of the service.

    Attributes:
        id: Their id, which is part of every address.
        token: Says that a request is theirs.
    """

    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request of theirs has."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True, slots=True)
class TaskchatServer:
    """A running service.

    Attributes:
        url: Its address, without a slash at the end.
        secret: Signs tokens; None if that of the service is not known here.
        issuer: What tokens name as their issuer, if anything.
        audience: What tokens name as their audience, if anything.
        log: The file that it logs to; None if it was started by somebody else.
    """

    url: str
    secret: str | None
    issuer: str | None = None
    audience: str | None = None
    log: Path | None = None

    def token_for(self, user_id: str, *, ttl_s: int = TOKEN_TTL_S) -> str:
        """A token of a user; the user need not exist before.

        Args:
            user_id: 1 to 255 characters, none of them `/`.
            ttl_s: Seconds until it expires.

        Raises:
            ValueError: no service would accept the user id, or its secret is not known here.
        """
        if self.secret is None:
            raise ValueError(
                f"The secret of {self.url} is not known here: export the TASKCHAT_JWT_SECRET that "
                "it was started with, and give --taskchat-setting TASKCHAT_JWT_SECRET."
            )
        from taskchat.auth.issuing import issue_token

        return issue_token(
            user_id,
            secret=self.secret,
            ttl_s=ttl_s,
            issuer=self.issuer,
            audience=self.audience,
        )

    def new_user(self) -> TaskchatUser:
        """A user whom nobody has heard of: their first task is number 1."""
        user_id = f"user-{uuid4().hex}"
        return TaskchatUser(user_id, self.token_for(user_id))

    def script(
        self, *turns: Turn, after: int = 0, fallback: Literal["offline"] | None = None
    ) -> dict[str, str]:
        """The header by which a message brings what the model says in the next turns.

        The same header goes with every message of the conversation.

        Args:
            turns: The next turns of the conversation. A text is what the model says; a list is what
                it answers, model call by model call; both as docs/scripted-model.md has them.
            after: How many turns the conversation has had.
            fallback: What answers a model call that is not scripted; without it that is an error.

        Raises:
            ValueError: it is no script; says where, and what is wrong there.
        """
        from taskchat.assistant.models.scripted.reading import ScriptInvalid, parse_script
        from taskchat.http.headers import SCRIPT_HEADER

        past = [{"answers": [{"fail": 500}]}] * after
        script: dict[str, Any] = {"turns": [*past, *map(_turn, turns)]}
        if fallback is not None:
            script["fallback"] = fallback
        written = json.dumps(script, separators=(",", ":"))
        try:
            parse_script(written)
        except ScriptInvalid as error:
            raise ValueError(f"what should be a script {error}") from None
        return {SCRIPT_HEADER: written}


def _turn(turn: Turn) -> Mapping[str, Any]:
    if isinstance(turn, str):
        return {"answers": [{"say": turn}]}
    return turn if isinstance(turn, Mapping) else {"answers": list(turn)}
