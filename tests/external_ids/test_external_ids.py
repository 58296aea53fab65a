"""Ids that clients chose: one text is one conversation of one user, whoever comes first."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, person_in
from tests.portability.data import exported

from taskchat.assistant.circumstances import Circumstances
from taskchat.errors import ConversationEnded, IdempotencyMismatch, NotFound, TooManyActive
from taskchat.external_ids import repository
from taskchat.external_ids.ids import ChosenIds, ExternalId, external_id, plain_id
from taskchat.moments import new_id
from taskchat.principal import Channel, Principal
from taskchat.transports.intake import new_message
from taskchat.turns.turn import AcceptedTurn, accept_turn, ended_turn

TEXTS: TypeAdapter[str] = TypeAdapter(ExternalId)


async def say(
    running: RunningApp,
    person: Person,
    content: str,
    *,
    chat: str | None = "a chat",
    message: str | None = None,
    key: str | None = None,
    conversation_id: UUID | None = None,
) -> AcceptedTurn:
    """Say something as a client that chooses ids does; returns its turn, which has ended."""
    chosen = ChosenIds("ui", chat, message)
    new = new_message(
        content,
        Channel.SSE,
        settings=running.live.settings,
        conversation_id=conversation_id or chosen.conversation_id(person.principal),
        idempotency_key=key,
        request_id="",
        circumstances=Circumstances(),
        chosen=chosen,
    )
    accepted = await accept_turn(new, principal=person.principal, deps=running.turns)
    await ended_turn(accepted, running.turns)
    return accepted


async def rows(superuser: AsyncEngine, statement: str, person: Person) -> list[tuple[Any, ...]]:
    async with superuser.connect() as connection:
        found = await connection.execute(text(statement), {"owner": person.user_id})
        return [tuple(row) for row in found]


async def test_the_first_message_begins_the_conversation_and_others_go_on_with_it(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = await person_in(offline_app.live.database)
    first = await say(offline_app, person, "Add task: Tea", message="m 1")
    second = await say(offline_app, person, "What is on my list?", message="m 2")
    assert first.turn.conversation_id == second.turn.conversation_id
    assert (first.turn.number, second.turn.number) == (1, 2)
    kept = await rows(
        superuser, "SELECT protocol, text FROM external_ids WHERE user_id = :owner", person
    )
    assert sorted(kept) == [("ui", "a chat"), ("ui", "m 1"), ("ui", "m 2")]


async def test_many_first_messages_at_once_are_turns_of_one_conversation(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = await person_in(offline_app.live.database)
    said = await asyncio.gather(
        *(say(offline_app, person, f"Add task: {n}", message=f"m{n}") for n in range(20))
    )
    assert len({one.turn.conversation_id for one in said}) == 1
    assert sorted(one.turn.number for one in said) == list(range(1, 21))
    [(conversations,)] = await rows(
        superuser, "SELECT count(*) FROM conversations WHERE user_id = :owner", person
    )
    assert conversations == 1


async def test_one_message_that_is_sent_many_times_at_once_is_one_turn(
    offline_app: RunningApp,
) -> None:
    person = await person_in(offline_app.live.database)
    said = await asyncio.gather(
        *(say(offline_app, person, "Add task: Tea", message="m", key="m") for _ in range(10))
    )
    assert len({one.turn.id for one in said}) == 1
    assert sum(not one.replayed for one in said) == 1


async def test_a_message_is_known_by_its_id_once_its_key_is_forgotten(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    person = await person_in(offline_app.live.database)
    first = await say(offline_app, person, "Add task: Tea", message="m", key="m")
    async with superuser.begin() as connection:
        await connection.execute(
            text(
                "UPDATE turns SET idempotency_key = NULL, fingerprint = NULL WHERE user_id = :owner"
            ),
            {"owner": person.user_id},
        )
    again = await say(offline_app, person, "Add task: Tea", message="m", key="m")
    assert again.replayed
    assert again.turn.id == first.turn.id
    with pytest.raises(IdempotencyMismatch):
        await say(offline_app, person, "Add task: Coffee", message="m", key="m")


async def test_users_protocols_and_conversations_keep_the_same_text_apart(
    offline_app: RunningApp,
) -> None:
    one, other = [await person_in(offline_app.live.database) for _ in range(2)]
    first = await say(offline_app, one, "Add task: Tea", message="1")
    second = await say(offline_app, other, "Add task: Tea", message="1")
    third = await say(offline_app, one, "Add task: Tea", chat="another", message="1")
    assert len({said.turn.conversation_id for said in (first, second, third)}) == 3
    assert external_id(one.principal, "ui", "1") != external_id(one.principal, "ag-ui", "1")


async def test_a_conversation_is_found_by_what_its_client_calls_it_and_by_its_own_id(
    offline_app: RunningApp,
) -> None:
    person, other = [await person_in(offline_app.live.database) for _ in range(2)]
    id_ = (await say(offline_app, person, "Add task: Tea")).turn.conversation_id
    uuid = str(new_id())
    named = (await say(offline_app, person, "Add task: Tea", chat=uuid)).turn.conversation_id
    database = offline_app.live.database

    async def find(who: Principal, chosen: str) -> UUID | None:
        async with database.transaction(who) as connection:
            return await repository.find_conversation(connection, who, "ui", chosen)

    assert await find(person.principal, "a chat") == id_
    assert await find(person.principal, str(id_)) == id_
    assert await find(person.principal, uuid) == named != UUID(uuid)
    assert await find(person.principal, "no chat") is None
    assert await find(other.principal, "a chat") is None
    assert await find(other.principal, str(id_)) is None
    async with database.transaction(person.principal) as connection:
        texts = await repository.texts_of(connection, person.principal, "ui", [id_, named])
    assert texts == {id_: "a chat", named: uuid}


async def test_only_a_conversation_that_was_named_is_begun(offline_app: RunningApp) -> None:
    person = await person_in(offline_app.live.database)
    with pytest.raises(NotFound):
        await say(offline_app, person, "Hello", chat=None, conversation_id=new_id())


async def test_an_ended_conversation_takes_no_message_by_its_name_either(
    offline_app: RunningApp,
) -> None:
    person = await person_in(offline_app.live.database)
    id_ = (await say(offline_app, person, "Add task: Tea")).turn.conversation_id
    ended = await offline_app.client.patch(
        f"/api/{person.user_id}/conversations/{id_}",
        json={"status": "ended"},
        headers=person.headers,
    )
    assert ended.status_code == 200
    with pytest.raises(ConversationEnded):
        await say(offline_app, person, "Hello")


async def test_a_refused_first_message_leaves_nothing(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(conversations_active_max=1) as running:
        person = await person_in(running.live.database)
        await say(running, person, "Add task: Tea")
        with pytest.raises(TooManyActive):
            await say(running, person, "Add task: Tea", chat="another", message="m")
    kept = await rows(superuser, "SELECT text FROM external_ids WHERE user_id = :owner", person)
    assert kept == [("a chat",)]


async def test_names_are_exported_and_go_with_their_conversation(
    offline_app: RunningApp, client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person = await person_in(offline_app.live.database)
    id_ = (await say(offline_app, person, "Add task: Tea")).turn.conversation_id
    lines = [line for line in await exported(client, person) if line["type"] == "external_id"]
    assert lines == [
        {
            "type": "external_id",
            "id": str(id_),
            "conversation_id": str(id_),
            "protocol": "ui",
            "text": "a chat",
        }
    ]
    deleted = await client.delete(
        f"/api/{person.user_id}/conversations/{id_}", headers=person.headers
    )
    assert deleted.status_code == 204
    assert not await rows(superuser, "SELECT 1 FROM external_ids WHERE user_id = :owner", person)


@given(st.text(), st.text(), st.text(), st.text())
def test_different_texts_make_different_ids(a: str, b: str, c: str, d: str) -> None:
    ids = [external_id(Principal(user), "ui", chosen) for user, chosen in ((a, b), (c, d))]
    assert (ids[0] == ids[1]) == ((a, b) == (c, d))
    assert all((id_.version, id_.variant) == (8, "specified in RFC 4122") for id_ in ids)


@pytest.mark.parametrize("bad", ["", "\0", "\ud800", " ", "​", "a" * 256, 1, None, ["a"]])
def test_what_can_be_no_id_is_refused(bad: object) -> None:
    with pytest.raises(ValidationError):
        TEXTS.validate_python(bad)


def test_only_ids_as_we_write_them_are_taken_for_ours() -> None:
    id_ = new_id()
    assert plain_id(str(id_)) == id_
    assert [plain_id(f) for f in (id_.hex, str(id_).upper(), f"{{{id_}}}", id_.urn, "x")] == [
        None
    ] * 5
