"""What one user does by the API, in any order, beside a model of what must be there then."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import httpx
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.factories import Person

from taskchat.moments import new_id

Got = TypeVar("Got")

SILENT_S = 600
"""Of a model that is stopped before it speaks."""

PATIENCE_S = 60
"""Only ends a hang."""

WHICH = st.integers(0, 7)
"""Of what there is, one; counted from the newest, round and round."""


@dataclass
class Turn:
    """One turn, as it must be read.

    Attributes:
        id: Its own.
        message: What the user said.
        reply: What the model said; None: it was stopped, or waits.
        follows: The turns before it on its branch.
        status: As in lists.
    """

    id: str
    message: str
    reply: str | None
    follows: list["Turn"]
    status: str = "completed"

    @property
    def said(self) -> list[tuple[str, str]]:
        """Its messages, by role."""
        replies = [] if self.reply is None else [("assistant", self.reply)]
        return [("user", self.message), *replies]


@dataclass
class Conversation:
    """One conversation.

    Attributes:
        turns: By number, all branches.
        shown: The newest turn of the branch that is shown.
        ended: It takes no more.
    """

    turns: list[Turn] = field(default_factory=list)
    ended: bool = False

    @property
    def branch(self) -> list[Turn]:
        """The turns that are shown, oldest first."""
        return [*self.turns[-1].follows, self.turns[-1]]

    @property
    def waits(self) -> bool:
        """Whether its newest turn waits for its user."""
        return self.turns[-1].status == "awaiting_feedback"


class Api(RuleBasedStateMachine):
    """Whatever a client does, the API shows what was done, once, in order, and to nobody else."""

    client: ClassVar[httpx.AsyncClient]
    loop: ClassVar[asyncio.AbstractEventLoop]
    asked: ClassVar[int] = 0
    """Requests so far, of all machines."""

    def __init__(self) -> None:
        super().__init__()
        self.person, self.other = Person(), Person()
        self.conversations: dict[str, Conversation] = {}
        self.tasks: dict[int, tuple[str, bool]] = {}
        self.last_task = 0
        self.said = 0
        self.deleted: list[str] = []

    # --- what a client does ---

    @rule(which=WHICH, anew=st.booleans())
    def say(self, which: int, anew: bool) -> None:
        conversation_id = None if anew else self._id(which)
        self._run(self._say(conversation_id))

    @rule(which=WHICH, tasks=st.integers(1, 2))
    def have_tasks_added(self, which: int, tasks: int) -> None:
        titles = [f"task of {self.said} and {number}" for number in range(tasks)]
        calls = [{"tool": "add_task", "arguments": {"title": title}} for title in titles]
        turn = self._run(self._say(self._id(which), {"call": calls}))
        if turn:
            for title in titles:
                self._added(title)

    @rule(which=WHICH)
    def say_the_same_twice(self, which: int) -> None:
        id_ = self._id(which)
        conversation = self.conversations.get(id_ or "")
        before = len(conversation.turns) if conversation else 0
        key = new_id().hex
        first = self._run(self._say(id_, key=key))
        if first is None:
            return
        answer = self._run(
            self._ask(
                "POST", "chat", {"message": first.message, "conversation_id": id_}, key=key, say="x"
            )
        )
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.json()["turn_id"] == first.id
        if conversation:
            assert len(conversation.turns) == before + 1

    @precondition(lambda self: self.conversations)
    @rule(which=WHICH, new_words=st.booleans())
    def make_a_version(self, which: int, new_words: bool) -> None:
        conversation = self.conversations[str(self._id(which))]
        branch = conversation.branch
        turn = branch[which % len(branch)]
        self._run(self._version(conversation, turn, new_words))

    @precondition(
        lambda self: any(not c.ended and not c.waits for c in self.conversations.values())
    )
    @rule(which=WHICH, waiting=st.integers(0, 2))
    def stop_what_runs_while_others_wait(self, which: int, waiting: int) -> None:
        ids = [i for i, c in self.conversations.items() if not c.ended and not c.waits]
        self._run(self._stop(ids[which % len(ids)], waiting))

    @precondition(lambda self: len(self.tasks) > 1)
    @rule(which=WHICH, answer=st.sampled_from(["approve", "reject"]))
    def have_two_tasks_deleted(self, which: int, answer: str) -> None:
        numbers = list(self.tasks)[-2:]
        calls = [{"tool": "delete_task", "arguments": {"task_id": number}} for number in numbers]
        self._run(self._ask_first(self._id(which), calls, answer))

    @rule()
    def add_a_task(self) -> None:
        title = f"own task {self.last_task}"
        answer = self._run(self._ask("POST", "tasks", {"title": title}))
        assert answer.status_code == 201, answer.text
        assert answer.json()["id"] == self._added(title)

    @precondition(lambda self: self.tasks)
    @rule(which=WHICH, completed=st.booleans())
    def change_a_task(self, which: int, completed: bool) -> None:
        number = list(self.tasks)[which % len(self.tasks)]
        answer = self._run(self._ask("PATCH", f"tasks/{number}", {"completed": completed}))
        assert answer.status_code == 200, answer.text
        self.tasks[number] = (self.tasks[number][0], completed)

    @precondition(lambda self: self.tasks)
    @rule(which=WHICH)
    def delete_a_task(self, which: int) -> None:
        number = list(self.tasks)[which % len(self.tasks)]
        assert self._run(self._ask("DELETE", f"tasks/{number}")).status_code == 204
        assert self._run(self._ask("DELETE", f"tasks/{number}")).status_code == 404
        del self.tasks[number]

    @precondition(lambda self: self.conversations)
    @rule(which=WHICH)
    def end_a_conversation(self, which: int) -> None:
        id_ = self._id(which)
        answer = self._run(self._ask("PATCH", f"conversations/{id_}", {"status": "ended"}))
        assert answer.status_code == 200, answer.text
        self.conversations[str(id_)].ended = True

    @precondition(lambda self: self.conversations)
    @rule(which=WHICH)
    def delete_a_conversation(self, which: int) -> None:
        id_ = str(self._id(which))
        assert self._run(self._ask("DELETE", f"conversations/{id_}")).status_code == 204
        del self.conversations[id_]
        self.deleted.append(id_)

    # --- what must be there ---

    @rule()
    def export_everything(self) -> None:
        exported = self._run(self._ask("GET", "export")).json()
        found = {one["id"]: one for one in exported["conversations"]}
        assert set(found) == set(self.conversations)
        for id_, conversation in self.conversations.items():
            turns = [(one["id"], one["number"]) for one in found[id_]["turns"]]
            assert turns == [(turn.id, n) for n, turn in enumerate(conversation.turns, 1)]
        assert {one["id"] for one in exported["tasks"]} == set(self.tasks)

    @invariant()
    def tasks_are_as_they_were_left(self) -> None:
        listed = self._run(self._ask("GET", "tasks?limit=200")).json()["data"]
        assert {one["id"]: (one["title"], one["completed"]) for one in listed} == self.tasks
        assert [one["id"] for one in listed] == sorted(self.tasks)

    @invariant()
    def conversations_are_all_there(self) -> None:
        listed = self._run(self._ask("GET", "conversations?limit=200")).json()["data"]
        assert {one["id"] for one in listed} == set(self.conversations)
        for id_ in self.deleted[-1:]:
            assert self._run(self._ask("GET", f"conversations/{id_}")).status_code == 404

    @invariant()
    def turns_have_numbers_without_gaps_and_their_messages_an_order(self) -> None:
        for id_ in list(self.conversations)[-1:]:
            conversation = self.conversations[id_]
            path = f"conversations/{id_}"
            turns = self._run(self._ask("GET", f"{path}/turns?limit=200")).json()["data"]
            assert [(one["number"], one["id"], one["status"]) for one in turns] == [
                (number, turn.id, turn.status) for number, turn in enumerate(conversation.turns, 1)
            ]
            messages = self._run(self._ask("GET", f"{path}/messages?limit=200")).json()["data"]
            assert [(one["role"], one["content"]) for one in messages] == [
                line for turn in conversation.branch for line in turn.said
            ]

    @invariant()
    def nobody_else_sees_any_of_it(self) -> None:
        for id_ in list(self.conversations)[-1:]:
            turn = self.conversations[id_].turns[-1]
            for path in (
                f"conversations/{id_}",
                f"conversations/{id_}/messages",
                f"turns/{turn.id}",
            ):
                assert self._run(self._ask("GET", path, by=self.other)).status_code == 404
                assert self._run(self._ask("GET", path, of=self.other)).status_code == 403
        assert self._run(self._ask("GET", "tasks", by=self.other)).json()["data"] == []

    # --- how ---

    def _run(self, steps: Coroutine[Any, Any, Got]) -> Got:
        return asyncio.run_coroutine_threadsafe(steps, self.loop).result(PATIENCE_S)

    def _id(self, which: int) -> str | None:
        """One of the conversations, the newest first; None where there is none."""
        ids = list(self.conversations)[::-1]
        return ids[which % len(ids)] if ids else None

    def _added(self, title: str) -> int:
        # No number is given twice.
        self.last_task += 1
        self.tasks[self.last_task] = (title, False)
        return self.last_task

    async def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        by: Person | None = None,
        of: Person | None = None,
        key: str | None = None,
        say: str | None = None,
        steps: Sequence[dict[str, Any]] = (),
        delay_s: float = 0,
    ) -> httpx.Response:
        """Ask for something of one's own, or of another's.

        Args:
            method: Of the request.
            path: Behind the user's.
            body: As JSON.
            by: Who asks; the person if it is left out.
            of: In whose place; the asker's if it is left out.
            key: Idempotency-Key.
            say: What the model says in the end.
            steps: What it does before.
            delay_s: How long it thinks.
        """
        asker = by or self.person
        headers = dict(asker.headers)
        if key:
            headers["Idempotency-Key"] = key
        if say is not None:
            script = [*steps, {"say": say, **({"delay_s": delay_s} if delay_s else {})}]
            headers["X-Taskchat-Script"] = json.dumps(script)
        place = f"/api/{(of or asker).user_id}/{path}"
        type(self).asked += 1
        answer = await self.client.request(method, place, json=body, headers=headers)
        assert answer.status_code < 500, answer.text
        return answer

    async def _say(
        self, conversation_id: str | None, *steps: dict[str, Any], key: str | None = None
    ) -> Turn | None:
        """Say something; the turn, or None where the conversation takes no more."""
        turn, answer = await self._chat(conversation_id, steps, key=key)
        if turn is not None:
            assert answer.status_code == 200, answer.text
            assert answer.json()["response"] == turn.reply
        return turn

    async def _chat(
        self, conversation_id: str | None, steps: Sequence[dict[str, Any]], key: str | None = None
    ) -> tuple[Turn | None, httpx.Response]:
        self.said += 1
        message, reply = f"message {self.said}", f"reply {self.said}"
        body = {"message": message, "conversation_id": conversation_id}
        answer = await self._ask("POST", "chat", body, key=key, say=reply, steps=steps)
        conversation = self.conversations.get(conversation_id or "")
        if conversation and conversation.ended:
            assert answer.status_code == 409, answer.text
            assert answer.json()["error_code"] == "conversation_ended"
            return None, answer
        assert answer.status_code in {200, 202}, answer.text
        told = answer.json()
        conversation = self.conversations.setdefault(told["conversation_id"], Conversation())
        follows = conversation.branch if conversation.turns else []
        turn = Turn(told["turn_id"], message, reply, follows)
        conversation.turns.append(turn)
        return turn, answer

    async def _version(self, conversation: Conversation, of: Turn, new_words: bool) -> None:
        self.said += 1
        reply = f"reply {self.said}"
        message = f"message {self.said}" if new_words else of.message
        [id_] = [id_ for id_, one in self.conversations.items() if one is conversation]
        listed = (await self._ask("GET", f"conversations/{id_}/messages?limit=200")).json()["data"]
        [path] = [
            f"messages/{one['id']}"
            for one in listed
            if (one["turn_id"], one["role"]) == (of.id, "user")
        ]
        if new_words:
            answer = await self._ask("PUT", path, {"message": message}, say=reply)
        else:
            answer = await self._ask("POST", f"{path}/regenerate", say=reply)
        if conversation.ended:
            assert answer.json()["error_code"] == "conversation_ended", answer.text
            return
        assert answer.status_code == 200, answer.text
        assert answer.json()["response"] == reply
        conversation.turns.append(Turn(answer.json()["turn_id"], message, reply, of.follows))

    async def _stop(self, id_: str, waiting: int) -> None:
        """Stop a turn whose model is silent; those that wait behind it are answered then."""
        conversation = self.conversations[id_]
        said: list[tuple[str, str, asyncio.Task[httpx.Response]]] = []
        for number in range(waiting + 1):
            self.said += 1
            message, reply = f"message {self.said}", f"reply {self.said}"
            asking = asyncio.create_task(
                self._ask(
                    "POST",
                    "chat",
                    {"message": message, "conversation_id": id_},
                    say=reply,
                    delay_s=SILENT_S if number == 0 else 0,
                )
            )
            said.append((message, reply, asking))
            await self._listed(id_, len(conversation.turns) + number + 1)
        listed = (await self._ask("GET", f"conversations/{id_}/turns?limit=200")).json()["data"]
        new = listed[len(conversation.turns) :]
        assert [one["message"] for one in new] == [message for message, _, _ in said]
        answer = await self._ask("POST", f"turns/{new[0]['id']}/cancel")
        assert answer.status_code == 200, answer.text
        for number, (message, reply, asking) in enumerate(said):
            answer = await asking
            follows = conversation.branch
            turn = Turn(new[number]["id"], message, reply, follows)
            if number == 0:
                assert answer.json()["error_code"] == "turn_cancelled", answer.text
                turn.reply, turn.status = None, "cancelled"
            else:
                assert answer.json()["response"] == reply, answer.text
            conversation.turns.append(turn)
        again = await self._ask("POST", f"turns/{new[0]['id']}/cancel")
        assert again.json()["error_code"] == "turn_not_cancellable", again.text

    async def _listed(self, id_: str, turns: int) -> None:
        """Wait until a conversation has so many turns."""
        while True:
            listed = (await self._ask("GET", f"conversations/{id_}/turns?limit=200")).json()
            if len(listed["data"]) >= turns:
                return
            await asyncio.sleep(0.01)

    async def _ask_first(
        self, conversation_id: str | None, calls: list[dict[str, Any]], answer: str
    ) -> None:
        """Have done what needs the user's yes, and say yes or no."""
        turn, asked = await self._chat(conversation_id, [{"call": calls}])
        if turn is None:
            return
        assert asked.status_code == 202, asked.text
        listed = (await self._ask("GET", "tasks?limit=200")).json()["data"]
        assert [one["id"] for one in listed] == sorted(self.tasks), "done before it was allowed"
        [open_] = (await self._ask("GET", "feedback?status=open")).json()["data"]
        path = f"feedback/{open_['id']}/respond"
        stranger = await self._ask("POST", path, {"answer": answer}, by=self.other)
        assert stranger.status_code == 404
        given = await self._ask("POST", path, {"answer": answer})
        assert given.status_code == 200, given.text
        again = await self._ask("POST", path, {"answer": answer})
        assert again.json()["error_code"] == "feedback_closed", again.text
        while (await self._ask("GET", f"turns/{turn.id}")).json()["status"] != "completed":
            await asyncio.sleep(0.01)
        if answer == "approve":
            for call in calls:
                del self.tasks[call["arguments"]["task_id"]]


def machine(client: httpx.AsyncClient, loop: asyncio.AbstractEventLoop) -> type[Api]:
    """The machine for a client, whose requests are made in its loop.

    Args:
        client: Of an app that takes scripts.
        loop: Which runs while the machine's own thread waits for it.
    """

    class Machine(Api):
        pass

    Machine.client, Machine.loop = client, loop
    return Machine


def plan(examples: int, steps: int, *, derandomize: bool = False) -> hypothesis_settings:
    """How much is tried; how long it takes decides nothing."""
    return hypothesis_settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=derandomize,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
