"""Refresh tokens: each is good once, and who brings a spent one has stolen it."""

import asyncio
import re

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.accounts.people import Registered, kept_house, post, refreshed, registered, signed_in
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp

from taskchat.accounts import passwords

TOKENS = "UPDATE refresh_tokens SET {} WHERE user_id = :owner"
SESSIONS = "UPDATE account_sessions SET {} WHERE user_id = :owner"


async def change(superuser: AsyncEngine, statement: str, person: Registered) -> None:
    async with superuser.begin() as connection:
        await connection.execute(text(statement), {"owner": person.user_id})


async def token_of(client: httpx.AsyncClient, token: str) -> str:
    """The token that comes after another."""
    answer = await refreshed(client, token)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["refresh_token"])


async def test_a_refresh_token_is_exchanged_for_new_ones(client: httpx.AsyncClient) -> None:
    ann = await registered(client)
    answer = (await refreshed(client, ann.tokens["refresh_token"])).json()
    assert answer.keys() == ann.tokens.keys()
    assert answer["user_id"] == ann.user_id
    assert answer["refresh_token"] != ann.tokens["refresh_token"]
    ann.tokens = answer
    assert (await ann.ask("GET", "me")).status_code == 200
    assert (await refreshed(client, answer["refresh_token"])).status_code == 200


async def test_a_stolen_refresh_token_ends_its_family_whoever_comes_second(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    ann = await registered(client)
    phone = await signed_in(ann)
    stolen = ann.tokens["refresh_token"]
    of_thief = await token_of(client, stolen)
    # The thief goes on for a while; the grace is over when its owner comes.
    of_thief = await token_of(client, of_thief)
    await change(superuser, TOKENS.format("spent_at = spent_at - interval '1 minute'"), ann)
    body = error_of(await refreshed(client, stolen), 401, stolen)
    assert "has ended" in body["error"]
    assert error_of(await refreshed(client, of_thief), 401)
    assert (await ann.ask("GET", "me")).status_code == 401
    # Another session of the same account is none of the thief's.
    assert (await phone.ask("GET", "me")).status_code == 200


async def test_without_a_grace_a_spent_token_ends_its_family_at_once(
    running_app: AppMaker,
) -> None:
    async with running_app(accounts_refresh_grace_s=0) as running:
        ann = await registered(running.client)
        newer = await token_of(running.client, ann.tokens["refresh_token"])
        assert (await refreshed(running.client, ann.tokens["refresh_token"])).status_code == 401
        assert (await refreshed(running.client, newer)).status_code == 401


async def test_within_the_grace_a_spent_token_is_refused_and_nothing_else_happens(
    client: httpx.AsyncClient,
) -> None:
    ann = await registered(client)
    newer = await token_of(client, ann.tokens["refresh_token"])
    body = error_of(await refreshed(client, ann.tokens["refresh_token"]), 401)
    assert "a moment ago" in body["error"]
    assert (await refreshed(client, newer)).status_code == 200


async def test_an_account_refreshes_only_so_often_and_a_refused_token_is_not_spent(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(accounts_refreshes_per_hour=2) as running:
        ann, bob = await registered(running.client), await registered(running.client)
        first = await token_of(running.client, ann.tokens["refresh_token"])
        # All devices count together.
        other = (await signed_in(ann)).tokens["refresh_token"]
        assert (await refreshed(running.client, other)).status_code == 200
        refused = await refreshed(running.client, first)
        assert error_of(refused, 429, first)["error_code"] == "rate_limited"
        assert 0 < int(refused.headers["retry-after"]) <= 1800
        assert (await refreshed(running.client, bob.tokens["refresh_token"])).status_code == 200
        async with superuser.begin() as connection:
            await connection.execute(
                text("UPDATE sign_in_buckets SET updated_at = updated_at - interval '31 minutes'")
            )
        assert (await refreshed(running.client, first)).status_code == 200


async def test_what_is_no_refresh_token_is_counted_nowhere(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    count = text("SELECT count(*) FROM sign_in_buckets")
    async with running_app(accounts_refreshes_per_hour=2) as running:
        async with superuser.connect() as connection:
            before = await connection.scalar(count)
        for number in range(3):
            refused = await refreshed(running.client, f"taskchat-refresh-{number}")
            assert error_of(refused, 401)["error_code"] == "invalid_auth"
        async with superuser.connect() as connection:
            assert await connection.scalar(count) == before


async def test_of_many_refreshes_at_once_one_wins_on_whatever_process(
    running_app: AppMaker,
) -> None:
    async with running_app() as one, running_app() as other:
        ann = await registered(one.client)
        answers = await asyncio.gather(
            *(
                refreshed(running.client, ann.tokens["refresh_token"])
                for running in (one, other) * 5
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 9
        [won] = [answer for answer in answers if answer.status_code == 200]
        assert (await refreshed(other.client, won.json()["refresh_token"])).status_code == 200


async def test_a_session_that_is_not_refreshed_in_time_ends(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    ann = await registered(client)
    for table in (TOKENS, SESSIONS):
        await change(superuser, table.format("expires_at = now()"), ann)
    body = error_of(await refreshed(client, ann.tokens["refresh_token"]), 401)
    assert "expired" in body["error"]
    assert (await ann.ask("GET", "me")).status_code == 401


async def test_a_session_lives_no_longer_than_it_may_however_often_it_is_refreshed(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    ann = await registered(client)
    await change(superuser, SESSIONS.format("ends_at = now() + interval '1 hour'"), ann)
    ann.tokens = (await refreshed(client, ann.tokens["refresh_token"])).json()
    async with superuser.connect() as connection:
        [ends] = (
            await connection.scalars(
                text(
                    "SELECT max(t.expires_at) <= max(s.ends_at) FROM refresh_tokens AS t"
                    " JOIN account_sessions AS s USING (user_id) WHERE user_id = :owner"
                    " AND t.spent_at IS NULL"
                ),
                {"owner": ann.user_id},
            )
        ).all()
    assert ends


@pytest.mark.parametrize(
    "token", ["", "x", "taskchat-refresh-" + "A" * 43, "é" * 100, "\u0000", "x" * 513]
)
async def test_what_is_no_refresh_token_is_refused(client: httpx.AsyncClient, token: str) -> None:
    answer = await refreshed(client, token)
    error_of(answer, 400 if len(token) > 512 else 401)


async def test_a_refresh_token_is_no_access_token_and_the_other_way_round(
    client: httpx.AsyncClient,
) -> None:
    ann = await registered(client)
    headers = {"Authorization": f"Bearer {ann.tokens['refresh_token']}"}
    assert (await client.get("/api/auth/me", headers=headers)).status_code == 401
    answer = await refreshed(client, ann.tokens["access_token"])
    assert answer.status_code in (400, 401)


async def test_nothing_that_is_stored_can_be_used_to_sign_in(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    ann = await registered(client, password="zebra zebra zebra")
    secrets = (ann.tokens["refresh_token"], ann.tokens["access_token"], "zebra zebra zebra")
    async with superuser.connect() as connection:
        for table in ("accounts", "account_sessions", "refresh_tokens"):
            rows = await connection.execute(
                text(f"SELECT to_json(t)::text FROM {table} AS t WHERE user_id = :owner"),
                {"owner": ann.user_id},
            )
            stored = "".join(rows.scalars())
            assert stored
            for secret in secrets:
                assert secret not in stored
                assert secret.encode().hex() not in stored
        hashes = await connection.scalars(
            text("SELECT password_hash FROM accounts WHERE user_id = :owner"),
            {"owner": ann.user_id},
        )
        assert re.fullmatch(r"\$argon2id\$v=19\$\S+", hashes.one())


async def test_a_password_is_hashed_by_the_second_choice_of_rfc_9106(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Elsewhere tests hash quickly.
    monkeypatch.setattr(passwords, "PasswordHasher", PasswordHasher)
    hasher = passwords.Passwords(at_once=1, waiting_max=0)
    made = await hasher.hashed("zebra zebra zebra")
    assert re.fullmatch(r"\$argon2id\$v=19\$m=65536,t=3,p=4\$\S+", made)
    assert await hasher.verify("zebra zebra zebra", made) == (True, None)
    hasher.close()


async def test_a_password_that_is_changed_while_somebody_signs_in_by_it_lets_nobody_in(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the order: no session begun by the old password outlives the change."""
    async with running_app() as running:
        ann = await registered(running.client)
        change = {"current_password": "correct horse battery staple", "new_password": "new one 1"}
        sign_in = {"email": ann.email, "password": "correct horse battery staple"}
        changed, *entered = await asyncio.gather(
            ann.ask("POST", "password", change),
            *(post(running.client, "login", sign_in) for _ in range(6)),
        )
        assert changed.status_code == 204
        assert {answer.status_code for answer in entered} <= {200, 401}
        sessions = (await ann.ask("GET", "sessions")).json()["data"]
        assert [one["current"] for one in sessions] == [True]


async def test_housekeeping_deletes_what_is_over_and_nothing_else(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    client = offline_app.client
    over, goes_on = await registered(client), await registered(client)
    await token_of(client, goes_on.tokens["refresh_token"])
    await change(superuser, SESSIONS.format("expires_at = now()"), over)
    await change(
        superuser,
        TOKENS.format("expires_at = now()") + " AND spent_at IS NOT NULL",
        goes_on,
    )
    await kept_house(offline_app)
    async with superuser.connect() as connection:

        async def count(table: str, person: Registered) -> object:
            statement = text(f"SELECT count(*) FROM {table} WHERE user_id = :owner")
            return await connection.scalar(statement, {"owner": person.user_id})

        assert await count("account_sessions", over) == 0
        assert await count("refresh_tokens", over) == 0
        assert await count("account_sessions", goes_on) == 1
        assert await count("refresh_tokens", goes_on) == 1
        assert await count("accounts", over) == 1
