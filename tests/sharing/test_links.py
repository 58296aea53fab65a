"""A link shows a conversation as it was, to whoever has it, until it expires or is revoked."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from agents.testing import ModelStep
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person, calls_tool, says, scripted
from tests.house import do_chores
from tests.sharing.links import ask_for_link, link_to, read_by, shares_path, talk

from taskchat.postgres.database import Database
from taskchat.settings import Settings
from taskchat.sharing.tokens import hash_of, new_token

UNKNOWN = "0199f3a0-0000-7000-8000-000000000000"


async def expire(superuser: AsyncEngine, share: str) -> None:
    statement = "UPDATE shares SET expires_at = now() - interval '1 second' WHERE id = :id"
    async with superuser.begin() as connection:
        await connection.execute(text(statement), {"id": share})


async def held(superuser: AsyncEngine, person: Person) -> list[str]:
    """The ids of the links that the database holds."""
    async with superuser.connect() as connection:
        rows = await connection.scalars(
            text("SELECT id FROM shares WHERE user_id = :owner ORDER BY id"),
            {"owner": person.user_id},
        )
        return [str(id_) for id_ in rows]


# --- what a link shows ---


async def test_whoever_has_a_link_reads_what_was_said_and_nothing_of_whose_it_is(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    conversation = await talk(client, person, "Add task: Buy milk", "What is on my list?")
    made = await link_to(client, person, conversation)
    answer = await client.get(f"/share/{made['token']}")
    shown = answer.json()
    kept = (
        await client.get(
            f"/api/{person.user_id}/conversations/{conversation}/messages", headers=person.headers
        )
    ).json()["data"]
    assert shown == {
        "data": [
            {
                "role": message["role"],
                "content": message["content"],
                "created_at": message["created_at"],
                "interrupted": False,
                "tool_calls": None,
            }
            for message in kept
        ],
        "has_more": False,
        "next_cursor": None,
        "title": "Add task: Buy milk",
        "with_tool_calls": False,
        "shared_at": made["created_at"],
        "expires_at": made["expires_at"],
    }
    assert len(shown["data"]) == 4
    for secret in (
        person.user_id,
        conversation,
        made["id"],
        made["token"],
        *(message[name] for message in kept for name in ("id", "turn_id")),
    ):
        assert secret not in answer.text


async def test_tool_calls_are_shown_only_if_the_owner_says_so(client: httpx.AsyncClient) -> None:
    person = Person()
    conversation = await talk(client, person, "Add task: Buy milk")
    without = await link_to(client, person, conversation, with_tool_calls=False)
    with_calls = await link_to(client, person, conversation, with_tool_calls=True)
    hidden = await client.get(f"/share/{without['token']}")
    assert [message["tool_calls"] for message in hidden.json()["data"]] == [None, None]
    for secret in ("add_task", "task_id", "parameters"):
        assert secret not in hidden.text
    said, replied = (await read_by(client, with_calls["token"]))["data"]
    assert said["tool_calls"] == []
    [call] = replied["tool_calls"]
    assert call | {"executed_at": ""} == {
        "tool_name": "add_task",
        "parameters": {"title": "Buy milk"},
        "result": {"task_id": 1, "status": "created", "title": "Buy milk"},
        "status": "completed",
        "executed_at": "",
    }


async def test_a_link_shows_the_conversation_as_it_was_when_it_was_made(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    conversation = await talk(client, person, "Add task: Buy milk")
    made = await link_to(client, person, conversation)
    before = await read_by(client, made["token"])
    await person.say(client, "Add task: A secret", conversation_id=conversation)
    await client.patch(
        f"/api/{person.user_id}/conversations/{conversation}",
        json={"title": "My secrets", "status": "ended", "archived": True},
        headers=person.headers,
    )
    assert await read_by(client, made["token"]) == before
    later = await read_by(client, (await link_to(client, person, conversation))["token"])
    assert later["title"] == "My secrets"
    assert (later["data"][:2], len(later["data"])) == (before["data"], 4)


async def test_a_link_shows_the_branch_that_was_shown_when_it_was_made(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    conversation = await talk(client, person, "Add task: One", "Add task: Two")
    first = await link_to(client, person, conversation, with_tool_calls=True)
    path = f"/api/{person.user_id}/conversations/{conversation}"
    kept = (await client.get(f"{path}/messages", headers=person.headers)).json()["data"]
    edited = await client.put(
        f"/api/{person.user_id}/messages/{kept[2]['id']}",
        json={"message": "Add task: Three"},
        headers=person.headers,
    )
    assert edited.status_code == 200, edited.text
    other = await link_to(client, person, conversation, with_tool_calls=True)
    gone_back = await client.patch(
        path, json={"branch": kept[2]["turn_id"]}, headers=person.headers
    )
    assert gone_back.status_code == 200, gone_back.text
    again = await link_to(client, person, conversation, with_tool_calls=True)
    for made, said in (
        (first, ["One", "Two"]),
        (other, ["One", "Three"]),
        (again, ["One", "Two"]),
    ):
        assert made["turns"] == 2
        shown = await read_by(client, made["token"])
        assert [message["content"] for message in shown["data"][::2]] == [
            f"Add task: {title}" for title in said
        ]
        assert [
            call["parameters"]["title"]
            for message in shown["data"]
            for call in message["tool_calls"]
        ] == said


async def test_a_turn_that_is_not_over_when_the_link_is_made_is_never_shown(
    running_app: AppMaker,
) -> None:
    person, asked, let = Person(), asyncio.Event(), asyncio.Event()

    async def slowly(_: Any) -> Any:
        asked.set()
        await let.wait()
        return says("Second.")

    _, chain = scripted(says("First."), ModelStep.respond(slowly))
    async with running_app(chain=chain) as running:
        conversation = await talk(running.client, person, "one")
        under_way = asyncio.create_task(
            person.say(running.client, "two", conversation_id=conversation)
        )
        await asyncio.wait_for(asked.wait(), 30)
        made = await link_to(running.client, person, conversation)
        assert made["turns"] == 1
        before = await read_by(running.client, made["token"])
        let.set()
        assert (await under_way).status_code == 200
        assert await read_by(running.client, made["token"]) == before
        assert [message["content"] for message in before["data"]] == ["one", "First."]


async def test_a_link_to_a_conversation_in_which_nothing_is_over_shows_nothing(
    offline_app: RunningApp,
) -> None:
    person = Person()
    await person.say(offline_app.client, "hello")
    async with offline_app.live.database.transaction(person.principal) as connection:
        await connection.execute(
            text("INSERT INTO conversations (user_id, id) VALUES (:owner, :id)"),
            {"owner": person.user_id, "id": UNKNOWN},
        )
    made = await link_to(offline_app.client, person, UNKNOWN)
    shown = await read_by(offline_app.client, made["token"])
    assert (made["turns"], made["title"], shown["data"]) == (0, None, [])


async def test_calls_of_a_turn_without_a_reply_stand_on_what_the_user_said(
    running_app: AppMaker,
) -> None:
    person = Person()
    _, chain = scripted([calls_tool("add_task", {"title": "Buy milk"})], RuntimeError("gone"))
    async with running_app(chain=chain, model_retries_max=0) as running:
        failed = await person.say(running.client, "milk")
        assert failed.status_code >= 500
        conversation = failed.json()["conversation_id"]
        made = await link_to(running.client, person, conversation, with_tool_calls=True)
        [said] = (await read_by(running.client, made["token"]))["data"]
    assert (said["role"], [call["tool_name"] for call in said["tool_calls"]]) == (
        "user",
        ["add_task"],
    )


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
async def test_a_shared_conversation_is_read_page_by_page_in_both_directions(
    client: httpx.AsyncClient, limit: int
) -> None:
    person = Person()
    conversation = await talk(client, person, "one", "two", "three")
    made = await link_to(client, person, conversation)
    await person.say(client, "four", conversation_id=conversation)
    whole = (await read_by(client, made["token"]))["data"]
    assert [message["content"] for message in whole[::2]] == ["one", "two", "three"]
    for direction, start in (("after", {}), ("before", {"before": "end"})):
        pages, query = [], start
        while True:
            page = await read_by(client, made["token"], limit=limit, **query)
            pages.append(page["data"])
            assert len(page["data"]) <= limit
            assert page["has_more"] == (page["next_cursor"] is not None)
            if not page["has_more"]:
                break
            query = {direction: page["next_cursor"]}
        in_order = pages if direction == "after" else pages[::-1]
        assert [message for page in in_order for message in page] == whole


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "after=zebra-7c1f",
        "before=END",
        "after=end",
        "after=WzEsMCwwXQ",
        "before=WyJhIiwxXQ",
        "after=WzEsMF0&before=WzEsMF0",
        "after=WzIxNDc0ODM2NDgsMF0",
    ],
)
async def test_a_query_that_is_not_the_contract_gets_400_whether_the_link_is_good_or_not(
    client: httpx.AsyncClient, query: str
) -> None:
    person = Person()
    made = await link_to(client, person, await talk(client, person, "hello"))
    for token in (made["token"], new_token()[0], "no-token"):
        answer = await client.get(f"/share/{token}?{query}")
        assert error_of(answer, 400)["details"]


async def test_an_answer_is_for_no_cache_no_index_and_no_referrer(
    client: httpx.AsyncClient,
) -> None:
    person = Person()
    made = await link_to(client, person, await talk(client, person, "hello"))
    for token, status in ((made["token"], 200), (new_token()[0], 404), ("no-token", 404)):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, f"/share/{token}")
            assert answer.status_code == status
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["x-robots-tag"] == "noindex, nofollow"
            assert bool(answer.content) is (method == "GET")
    refused = await client.get(f"/share/{made['token']}", headers={"Accept": "text/html"})
    assert error_of(refused, 406, made["token"])


async def test_no_authorization_is_read_beside_a_link(client: httpx.AsyncClient) -> None:
    person = Person()
    made = await link_to(client, person, await talk(client, person, "hello"))
    shown = await read_by(client, made["token"])
    for headers in ({"Authorization": "Bearer zebra-7c1f"}, Person().headers):
        answer = await client.get(f"/share/{made['token']}", headers=headers)
        assert answer.json() == shown


async def test_a_page_of_another_origin_reads_a_link_only_where_it_is_allowed_to(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app(allowed_origins="https://app.example.org") as running:
        made = await link_to(running.client, person, await talk(running.client, person, "hello"))
        for origin, allowed in (("https://app.example.org", True), ("https://evil.org", False)):
            for token in (made["token"], new_token()[0]):
                answer = await running.client.get(f"/share/{token}", headers={"Origin": origin})
                assert ("access-control-allow-origin" in answer.headers) is allowed


# --- when it shows nothing ---


async def test_whatever_the_reason_a_link_that_shows_nothing_gets_the_same_404(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person, gone = Person(), Person()
    conversation, deleted = await talk(client, person, "hello"), await talk(client, person, "bye")
    links = {
        name: await link_to(client, owner, of)
        for name, owner, of in (
            ("good", person, conversation),
            ("expired", person, conversation),
            ("revoked", person, conversation),
            ("its conversation is deleted", person, deleted),
            ("its owner is deleted", gone, await talk(client, gone, "hello")),
        )
    }
    for link in links.values():
        await read_by(client, link["token"])
    await expire(superuser, links["expired"]["id"])
    revoked = shares_path(person, conversation, links["revoked"]["id"])
    conversation_path = f"/api/{person.user_id}/conversations/{deleted}"
    for path, owner in (
        (revoked, person),
        (conversation_path, person),
        (f"/api/{gone.user_id}", gone),
    ):
        assert (await client.delete(path, headers=owner.headers)).status_code == 204
    good = links.pop("good")["token"]
    tokens = {
        **{name: link["token"] for name, link in links.items()},
        "unknown": new_token()[0],
        "cut off": good[:-1],
        "too long": good + "A",
        "in capitals": good.swapcase(),
        "no token": "zebra-7c1f",
        "padded": good[:-1] + "=",
        "a line end": good + "%0A",
        "NUL": "%00",
        "digits of another script": "\u0660" * 43,
        "SQL": "' OR '1'='1",
        "endless": "A" * 5000,
    }
    told = {}
    for name, token in tokens.items():
        answer = await client.get(f"/share/{token}")
        body = error_of(answer, 404, token) if token.isascii() else error_of(answer, 404)
        headers = dict(answer.headers)
        for changing in ("x-request-id", "content-length"):
            headers.pop(changing, None)
        told[name] = (answer.text.replace(body["request_id"], "ID"), headers)
    # The gate refuses these two addresses before any route is asked.
    for name in ("a line end", "NUL"):
        assert "x-robots-tag" not in told.pop(name)[1]
    assert set(map(str, told.values())) == {str(told["unknown"])}
    assert (await read_by(client, good))["data"]


async def test_a_link_that_is_revoked_on_one_process_is_gone_on_the_other_at_once(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app() as one, running_app() as other:
        conversation = await talk(one.client, person, "hello")
        for revoke_all in (False, True):
            made = await link_to(one.client, person, conversation)
            await read_by(other.client, made["token"])
            path = shares_path(person, conversation, "" if revoke_all else made["id"])
            answer = await one.client.delete(path, headers=person.headers)
            assert answer.status_code == 204
            error_of(await other.client.get(f"/share/{made['token']}"), 404)


# --- making, listing, revoking ---


async def test_a_token_is_shown_once_and_kept_nowhere(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person = Person()
    conversation = await talk(client, person, "hello")
    made = await link_to(client, person, conversation)
    assert len(made["token"]) == 43
    listed = await client.get(shares_path(person, conversation), headers=person.headers)
    assert listed.json()["data"] == [
        {name: value for name, value in made.items() if name != "token"}
    ]
    async with superuser.connect() as connection:
        [row] = (
            await connection.execute(
                text("SELECT s::text AS everything, token_hash FROM shares AS s WHERE id = :id"),
                {"id": made["id"]},
            )
        ).all()
    assert made["token"] not in row.everything
    assert row.token_hash == hash_of(made["token"])


async def test_tokens_are_all_different(client: httpx.AsyncClient) -> None:
    tokens = [new_token() for _ in range(100)]
    assert len({token for token, _ in tokens}) == len({kept for _, kept in tokens}) == 100
    assert all(hash_of(token) == kept for token, kept in tokens)


async def test_a_link_expires_when_its_owner_says_or_after_the_default(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app(share_expiry_default_h=5, share_expiry_max_h=7) as running:
        conversation = await talk(running.client, person, "hello")
        for wanted, hours in (({}, 5), ({"expires_in_h": None}, 5), ({"expires_in_h": 7}, 7)):
            made = await link_to(running.client, person, conversation, **wanted)
            begins, ends = (
                datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at")
            )
            assert ends - begins == timedelta(hours=hours)
            assert abs(begins - datetime.now(UTC)) < timedelta(minutes=5)
        refused = await ask_for_link(running.client, person, conversation, expires_in_h=8)
        body = error_of(refused, 400)
        assert body["details"] == [{"field": "expires_in_h", "problem": "must be at most 7"}]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'{"expires_in_h": 0}',
        b'{"expires_in_h": -1}',
        b'{"expires_in_h": 721}',
        b'{"expires_in_h": 1.5}',
        b'{"expires_in_h": "1"}',
        b'{"expires_in_h": true}',
        b'{"expires_in_h": 99999999999999999999}',
        b'{"with_tool_calls": 1}',
        b'{"with_tool_calls": null}',
        b'{"with_tool_calls": true, "with_tool_calls": false}',
        b'{"token": "zebra-7c1f"}',
        b'{"user_id": "zebra-7c1f"}',
    ],
)
async def test_a_wish_that_is_not_the_contract_gets_400_and_makes_no_link(
    client: httpx.AsyncClient, superuser: AsyncEngine, raw: bytes
) -> None:
    person = Person()
    conversation = await talk(client, person, "hello")
    answer = await client.post(
        shares_path(person, conversation),
        content=raw,
        headers=person.headers | {"Content-Type": "application/json"},
    )
    assert error_of(answer, 400)["details"]
    assert await held(superuser, person) == []


async def test_a_conversation_has_only_so_many_good_links(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    async with running_app(conversation_shares_max=2) as running:
        client = running.client
        conversation, other = await talk(client, person, "one"), await talk(client, person, "two")
        first = await link_to(client, person, conversation)
        await link_to(client, person, conversation)
        body = error_of(await ask_for_link(client, person, conversation), 409)
        assert (body["error_code"], body["conversation_id"]) == ("too_many_shares", conversation)
        await link_to(client, person, other)
        await expire(superuser, first["id"])
        await link_to(client, person, conversation)
        error_of(await ask_for_link(client, person, conversation), 409)


async def test_of_many_links_that_are_made_at_once_no_more_are_made_than_may_be(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    person = Person()
    changes = {"conversation_shares_max": 3}
    async with running_app(**changes) as one, running_app(**changes) as other:
        conversation = await talk(one.client, person, "hello")
        answers = await asyncio.gather(
            *(
                ask_for_link(running.client, person, conversation)
                for running in (one, other)
                for _ in range(5)
            )
        )
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 7
    assert len(await held(superuser, person)) == 3


async def test_where_no_links_may_be_made_none_is_and_those_there_stay_good(
    running_app: AppMaker,
) -> None:
    person = Person()
    async with running_app() as before, running_app(conversation_shares_max=0) as after:
        conversation = await talk(before.client, person, "hello")
        made = await link_to(before.client, person, conversation)
        error_of(await ask_for_link(after.client, person, conversation), 409)
        assert (await read_by(after.client, made["token"]))["data"]


async def test_good_links_are_listed_newest_first_page_by_page(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person = Person()
    conversation = await talk(client, person, "hello")
    made = [(await link_to(client, person, conversation))["id"] for _ in range(4)]
    await expire(superuser, made.pop(1))
    found: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        answer = await client.get(
            shares_path(person, conversation), params=query, headers=person.headers
        )
        page = answer.json()
        found += [link["id"] for link in page["data"]]
        if not page["has_more"]:
            break
        query["after"] = page["next_cursor"]
    assert found == made[::-1]


async def test_what_is_revoked_has_to_be_a_good_link_of_this_conversation(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person = Person()
    conversation, other = await talk(client, person, "one"), await talk(client, person, "two")
    made, expired = [await link_to(client, person, conversation) for _ in range(2)]
    await expire(superuser, expired["id"])
    for of, share in (
        (other, made["id"]),
        (UNKNOWN, made["id"]),
        ("none", made["id"]),
        (conversation, UNKNOWN),
        (conversation, "none"),
        (conversation, made["token"]),
        (conversation, expired["id"]),
    ):
        answer = await client.delete(shares_path(person, of, share), headers=person.headers)
        error_of(answer, 404, made["token"])
    assert (await read_by(client, made["token"]))["data"]
    path = shares_path(person, conversation, made["id"])
    assert (await client.delete(path, headers=person.headers)).status_code == 204
    error_of(await client.delete(path, headers=person.headers), 404)


async def test_all_links_of_a_conversation_are_revoked_together_and_no_others(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    person = Person()
    conversation, other = await talk(client, person, "one"), await talk(client, person, "two")
    made = [await link_to(client, person, conversation) for _ in range(3)]
    stays = await link_to(client, person, other)
    for _ in range(2):
        answer = await client.delete(shares_path(person, conversation), headers=person.headers)
        assert answer.status_code == 204
    for link in made:
        error_of(await client.get(f"/share/{link['token']}"), 404)
    assert await held(superuser, person) == [stays["id"]]


async def test_links_of_a_conversation_that_is_not_there_get_404(
    client: httpx.AsyncClient,
) -> None:
    person, stranger = Person(), Person()
    theirs = await talk(client, stranger, "hello")
    made = await link_to(client, stranger, theirs)
    for conversation in (UNKNOWN, theirs, "none"):
        path = shares_path(person, conversation)
        error_of(await ask_for_link(client, person, conversation), 404)
        error_of(await client.get(path, headers=person.headers), 404)
        error_of(await client.delete(path, headers=person.headers), 404)
    assert (await read_by(client, made["token"]))["data"]


# --- housekeeping ---


async def test_links_that_have_expired_are_deleted_batch_by_batch_and_no_others(
    client: httpx.AsyncClient,
    superuser: AsyncEngine,
    database: Database,
    settings: Settings,
) -> None:
    person = Person()
    conversation = await talk(client, person, "hello")
    made = [(await link_to(client, person, conversation))["id"] for _ in range(6)]
    for share in made[:5]:
        await expire(superuser, share)
    await do_chores(database, settings.model_copy(update={"chore_rows_max": 2}))
    assert await held(superuser, person) == made[5:]


def test_a_default_beyond_the_longest_life_is_refused() -> None:
    with pytest.raises(ValueError, match="TASKCHAT_SHARE_EXPIRY_DEFAULT_H"):
        Settings(_env_file=None, share_expiry_default_h=8, share_expiry_max_h=7)


async def test_the_contract_asks_for_no_token_of_a_user_beside_a_link(
    offline_app: RunningApp,
) -> None:
    operation = offline_app.app.openapi()["paths"]["/share/{token}"]["get"]
    assert "security" not in operation
    assert {"401", "403"}.isdisjoint(operation["responses"])
    assert {"200", "400", "404", "406", "503"} <= set(operation["responses"])
