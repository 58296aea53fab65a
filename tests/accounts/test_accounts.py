"""Accounts: registering, signing in, one's own account, and its end."""

import asyncio
import json

import httpx
import jwt
import pytest
import websockets
from argon2 import PasswordHasher
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.accounts.people import PASSWORD, an_email, post, refreshed, registered, signed_in
from tests.answers import error_of
from tests.conftest import AppMaker, RunningApp
from tests.factories import Person
from tests.hashes import QUICK_MEMORY
from tests.live.served import served

from taskchat.accounts.schemas import CredentialsIn
from taskchat.accounts.service import AccountDeps
from taskchat.accounts.sessions import Tokens
from taskchat.http.dependencies import part_of
from taskchat.principal import is_account
from taskchat.settings import Settings


async def test_who_registers_can_chat_at_once(client: httpx.AsyncClient) -> None:
    ann = await registered(client)
    assert list(ann.tokens) == [
        "user_id",
        "access_token",
        "refresh_token",
        "token_type",
        "expires_in",
    ]
    assert is_account(ann.user_id)
    assert (ann.tokens["token_type"], ann.tokens["expires_in"]) == ("bearer", 900)
    answer = await ann.say("Add task: Buy groceries")
    assert answer.status_code == 200, answer.text
    assert answer.json()["response"] == "Added “Buy groceries”."


async def test_tokens_are_kept_by_no_cache(client: httpx.AsyncClient) -> None:
    body = {"email": an_email(), "password": PASSWORD}
    for path in ("register", "login"):
        answer = await post(client, path, body)
        assert answer.headers["cache-control"] == "no-store"
    answer = await refreshed(client, answer.json()["refresh_token"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


async def test_an_address_is_the_same_in_any_case_and_has_one_account(
    client: httpx.AsyncClient,
) -> None:
    ann = await registered(client)
    for email in (ann.email, ann.email.upper(), ann.email.replace("example.org", "Example.ORG")):
        refused = await post(client, "register", {"email": email, "password": PASSWORD})
        assert error_of(refused, 409, email)["error_code"] == "already_registered"
        entered = await post(client, "login", {"email": email, "password": PASSWORD})
        assert entered.json()["user_id"] == ann.user_id


async def test_a_refused_registration_leaves_no_user_behind(
    client: httpx.AsyncClient, superuser: AsyncEngine
) -> None:
    ann = await registered(client)
    count = text(
        "SELECT count(*) FROM users AS u WHERE id LIKE 'account-%' AND NOT EXISTS"
        " (SELECT FROM accounts AS a WHERE a.user_id = u.id)"
    )
    await post(client, "register", {"email": ann.email, "password": PASSWORD})
    async with superuser.connect() as connection:
        assert await connection.scalar(count) == 0


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "ann@",
        "@example.org",
        "ann@@example.org",
        "a b@example.org",
        "Ann <a@b.org>",
        "ann@example.org\n",
        "ann@-.org",
        "ann@[127.0.0.1]",
        '"ann"@example.org',
        "x" * 300 + "@b.org",
        "ann@exa\u0000mple.org",
        "ann@example.org,bob@example.org",
        "\u202eann@example.org",
    ],
)
async def test_what_is_no_address_gets_400(client: httpx.AsyncClient, email: str) -> None:
    for path in ("register", "login"):
        body = error_of(await post(client, path, {"email": email, "password": PASSWORD}), 400)
        assert [detail["field"] for detail in body["details"]] == ["email"]


async def test_an_address_of_a_private_domain_or_of_another_script_is_one(
    client: httpx.AsyncClient,
) -> None:
    for domain in ("corp.local", "localhost", "bücher.example"):
        email = an_email().replace("example.org", domain)
        ann = await registered(client, email=email)
        assert (await ann.ask("GET", "me")).json()["email"] == email


async def test_a_password_counts_by_its_length_alone(client: httpx.AsyncClient) -> None:
    for password, wanted in (
        ("x" * 7, "must have at least 8 characters"),
        ("x" * 1025, "must have at most 1024 characters"),
    ):
        refused = await post(client, "register", {"email": an_email(), "password": password})
        body = error_of(refused, 400, password)
        assert body["details"] == [{"field": "password", "problem": wanted}]
    for password in ("        ", "🦓" * 8, "\u0000" * 8, "x" * 1024):
        ann = await registered(client, password=password)
        assert (await signed_in(ann, password=password)).user_id == ann.user_id


async def test_a_password_is_the_same_however_a_keyboard_writes_it(
    client: httpx.AsyncClient,
) -> None:
    ann = await registered(client, password="Ångström ﬁne")
    assert (await signed_in(ann, password="A\u030angstro\u0308m fine")).user_id == ann.user_id


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(
    offline_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = offline_app.client
    ann = await registered(client)
    passwords = part_of(offline_app.app, AccountDeps).passwords
    compared: list[str] = []
    compare = passwords._compare

    def counted(password: str, kept: str) -> tuple[bool, str | None]:
        compared.append(kept)
        return compare(password, kept)

    monkeypatch.setattr(passwords, "_compare", counted)
    answers = []
    for email in (ann.email, an_email()):
        answer = await post(client, "login", {"email": email, "password": "not the password"})
        body = error_of(answer, 401, email, "not the password")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        answers.append({name: value for name, value in body.items() if name != "request_id"})
    assert answers[0] == answers[1]
    # The unknown address costs as much: one hash, of the same parameters.
    parameters = {kept.rsplit("$", 2)[0] for kept in compared}
    assert (len(compared), len(parameters)) == (2, 1)


async def test_nobody_signs_in_by_the_hash_that_stands_for_nobody(
    client: httpx.AsyncClient,
) -> None:
    for password in (PASSWORD, "x" * 8):
        assert (
            await post(client, "login", {"email": an_email(), "password": password})
        ).status_code == 401


async def test_a_hash_of_old_parameters_is_replaced_at_the_next_sign_in(
    offline_app: RunningApp, superuser: AsyncEngine
) -> None:
    ann = await registered(offline_app.client)
    values = {"owner": ann.user_id, "hash": PasswordHasher(memory_cost=8192).hash(PASSWORD)}
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE accounts SET password_hash = :hash WHERE user_id = :owner"), values
        )
    assert (await signed_in(ann)).user_id == ann.user_id
    async with superuser.connect() as connection:
        kept = await connection.scalar(
            text("SELECT password_hash FROM accounts WHERE user_id = :owner"), values
        )
    assert kept is not None
    assert f"m={QUICK_MEMORY}," in kept
    async with superuser.begin() as connection:
        await connection.execute(
            text("UPDATE accounts SET password_hash = :hash WHERE user_id = :owner"), values
        )
    both = await asyncio.gather(signed_in(ann), signed_in(ann))
    assert [one.user_id for one in both] == [ann.user_id] * 2
    assert (await signed_in(ann)).user_id == ann.user_id


async def test_one_reads_ones_own_account(client: httpx.AsyncClient) -> None:
    ann = await registered(client)
    answer = (await ann.ask("GET", "me")).json()
    assert list(answer) == ["user_id", "email", "created_at", "password_changed_at"]
    assert (answer["user_id"], answer["email"]) == (ann.user_id, ann.email)


async def test_a_changed_password_ends_all_other_sessions(client: httpx.AsyncClient) -> None:
    ann = await registered(client)
    phone = await signed_in(ann)
    wrong = {"current_password": "not the password", "new_password": "another password"}
    assert error_of(await ann.ask("POST", "password", wrong), 401)
    right = wrong | {"current_password": PASSWORD}
    assert (await ann.ask("POST", "password", right)).status_code == 204
    assert (await ann.ask("GET", "me")).status_code == 200
    assert (await phone.ask("GET", "me")).status_code == 401
    assert (await refreshed(client, phone.tokens["refresh_token"])).status_code == 401
    assert (await refreshed(client, ann.tokens["refresh_token"])).status_code == 200
    old = await post(client, "login", {"email": ann.email, "password": PASSWORD})
    assert old.status_code == 401
    assert (await signed_in(ann, password="another password")).user_id == ann.user_id


async def test_sessions_are_listed_with_their_devices_and_ended_one_by_one(
    client: httpx.AsyncClient,
) -> None:
    ann = await registered(client)
    phone = await signed_in(ann, **{"User-Agent": "Phone/1.0"})
    listed = (await ann.ask("GET", "sessions")).json()
    assert (listed["has_more"], listed["next_cursor"]) == (False, None)
    assert listed["data"][0]["user_agent"] == "Phone/1.0"
    assert [one["current"] for one in listed["data"]] == [False, True]
    id_ = listed["data"][0]["id"]
    assert (await ann.ask("DELETE", f"sessions/{id_}")).status_code == 204
    assert (await ann.ask("DELETE", f"sessions/{id_}")).status_code == 404
    assert (await phone.ask("GET", "me")).status_code == 401
    assert (await refreshed(client, phone.tokens["refresh_token"])).status_code == 401


async def test_signing_out_ends_this_session_or_all(client: httpx.AsyncClient) -> None:
    ann = await registered(client)
    phone, laptop = await signed_in(ann), await signed_in(ann)
    assert (await phone.ask("POST", "logout")).status_code == 204
    assert (await refreshed(client, phone.tokens["refresh_token"])).status_code == 401
    assert (await laptop.ask("GET", "me")).status_code == 200
    assert (await laptop.ask("POST", "logout-all")).status_code == 204
    for one in (ann, laptop):
        assert (await one.ask("GET", "me")).status_code == 401
        assert (await refreshed(client, one.tokens["refresh_token"])).status_code == 401


async def test_of_too_many_sessions_the_least_recently_used_ends(running_app: AppMaker) -> None:
    async with running_app(accounts_sessions_max=2) as running:
        ann = await registered(running.client)
        second = await signed_in(ann)
        ann.tokens = (await refreshed(running.client, ann.tokens["refresh_token"])).json()
        third = await signed_in(ann)
        statuses = [(await one.ask("GET", "me")).status_code for one in (ann, second, third)]
        assert statuses == [200, 401, 200]


async def test_another_users_session_is_as_one_that_does_not_exist(
    client: httpx.AsyncClient,
) -> None:
    ann, bob = await registered(client), await registered(client)
    id_ = (await ann.ask("GET", "sessions")).json()["data"][0]["id"]
    unknown = "0199f3a0-0000-7000-8000-00000000dead"
    answers = []
    for session in (id_, unknown):
        answer = await bob.ask("DELETE", f"sessions/{session}")
        body = error_of(answer, 404)
        body.pop("request_id")
        answers.append(str(body).replace(session, "ID"))
    assert answers[0] == answers[1]
    assert (await ann.ask("GET", "me")).status_code == 200
    assert len((await bob.ask("GET", "sessions")).json()["data"]) == 1


async def test_who_has_no_account_here_can_not_manage_one(client: httpx.AsyncClient) -> None:
    person = Person()
    for method, path in (("GET", "me"), ("GET", "sessions"), ("POST", "logout-all")):
        answer = await client.request(method, f"/api/auth/{path}", headers=person.headers)
        assert error_of(answer, 403)["error_code"] == "forbidden"


# --- the end of an account ---


async def test_a_deleted_account_is_gone_with_everything_and_no_token_brings_it_back(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app() as one, running_app() as other:
        ann = await registered(one.client)
        assert (await ann.say("Add task: A")).status_code == 200
        elsewhere = ann.__class__(other.client, ann.email, ann.tokens)
        assert (await elsewhere.say("Add task: B")).status_code == 200
        wrong = await ann.ask("DELETE", "me", {"password": "not the password"})
        assert error_of(wrong, 401)
        assert (await ann.ask("DELETE", "me", {"password": PASSWORD})).status_code == 204
        for _ in range(2):
            assert (await ann.say("Add task: C")).status_code == 401
        # This one may not have heard of it yet; then its first write finds out.
        assert (await elsewhere.say("Add task: D")).status_code in (401, 503)
        assert (await elsewhere.say("Add task: E")).status_code == 401
        for path in ("tasks", "conversations", "usage"):
            answer = await other.client.get(f"/api/{ann.user_id}/{path}", headers=ann.headers)
            assert answer.status_code == 401
        assert (await refreshed(one.client, ann.tokens["refresh_token"])).status_code == 401
        async with superuser.connect() as connection:
            for table in ("users", "accounts", "account_sessions", "refresh_tokens", "tasks"):
                column = "id" if table == "users" else "user_id"
                statement = text(f"SELECT count(*) FROM {table} WHERE {column} = :owner")
                assert await connection.scalar(statement, {"owner": ann.user_id}) == 0
        again = await registered(one.client, email=ann.email)
        assert again.user_id != ann.user_id


async def test_a_process_that_is_not_told_of_a_deletion_refuses_within_a_minute(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app() as one, running_app() as other:
        authenticator, now = other.live.authenticator, [1000.0]
        monkeypatch.setattr(authenticator, "_clock", lambda: now[0])
        # As behind a pooler, where nobody is told anything.
        await other.listener.close()
        ann = await registered(one.client)

        async def status() -> int:
            answer = await other.client.get(f"/api/{ann.user_id}/tasks", headers=ann.headers)
            return answer.status_code

        assert await status() == 200
        assert (await ann.ask("DELETE", "me", {"password": PASSWORD})).status_code == 204
        now[0] += 61
        assert [await status(), await status()] == [401, 401]


async def test_a_socket_of_a_deleted_account_is_closed_as_by_a_bad_token(
    running_app: AppMaker,
) -> None:
    async with running_app() as running, served(running) as url:
        ann = await registered(running.client)
        address = f"ws{url.removeprefix('http')}/ws/chat/new"
        async with websockets.connect(address, additional_headers=ann.headers) as socket:
            assert json.loads(await socket.recv())["type"] == "connection"
        assert (await ann.ask("DELETE", "me", {"password": PASSWORD})).status_code == 204
        async with websockets.connect(address, additional_headers=ann.headers) as socket:
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 4001


async def test_an_access_token_alone_can_not_delete_an_account(client: httpx.AsyncClient) -> None:
    ann = await registered(client)
    answer = await client.delete(f"/api/{ann.user_id}", headers=ann.headers)
    assert error_of(answer, 403)["error_code"] == "forbidden"
    assert (await ann.ask("GET", "me")).status_code == 200


async def test_an_export_tells_of_the_account_and_of_nothing_that_proves_it(
    client: httpx.AsyncClient,
) -> None:
    ann = await registered(client)
    found = {}
    for form in ("jsonl", "json", "markdown"):
        answer = await client.get(
            f"/api/{ann.user_id}/export", params={"format": form}, headers=ann.headers
        )
        found[form] = answer.text
        assert "argon2" not in answer.text
        assert ann.tokens["refresh_token"] not in answer.text
    assert found["jsonl"].count('"type":"account"') == 1
    assert f'"email":"{ann.email}"' in found["jsonl"]
    assert f'"accounts":[{{"email":"{ann.email}"' in found["json"]
    assert "Account of ann" in found["markdown"]
    back = await client.post(
        f"/api/{ann.user_id}/import",
        content=found["jsonl"],
        headers=ann.headers | {"Content-Type": "application/x-ndjson"},
    )
    assert [left["type"] for left in back.json()["left_out"]] == ["account"]


# --- switched off ---


async def test_where_accounts_are_off_there_is_nothing_of_them(running_app: AppMaker) -> None:
    async with running_app(accounts=False) as running:
        for method, path in (
            ("POST", "/api/auth/register"),
            ("POST", "/api/auth/login"),
            ("POST", "/api/auth/refresh"),
            ("GET", "/api/auth/me"),
            ("POST", "/api/auth/logout"),
            ("GET", "/.well-known/jwks.json"),
        ):
            body = {"email": an_email(), "password": PASSWORD}
            answer = await running.client.request(method, path, json=body)
            assert error_of(answer, 404)["error_code"] == "not_found"
        assert not any(path.startswith("/api/auth") for path in running.app.openapi()["paths"])


async def test_where_accounts_are_off_their_tokens_prove_nothing(
    offline_app: RunningApp, running_app: AppMaker
) -> None:
    ann = await registered(offline_app.client)
    async with running_app(accounts=False) as running:
        answer = await running.client.get(f"/api/{ann.user_id}/tasks", headers=ann.headers)
        assert error_of(answer, 401)


def test_secrets_are_not_shown_by_what_holds_them(settings: Settings) -> None:
    assert PASSWORD not in repr(
        CredentialsIn.model_validate_json(f'{{"email": "a@b.org", "password": "{PASSWORD}"}}')
    )
    assert "hidden" not in repr(Tokens("ann", "hidden", "hidden", 1))
    secret = "a secret of thirty-two bytes or more"
    assert secret not in repr(Settings(_env_file=None, accounts_secret=secret))


async def test_the_claims_of_an_access_token_are_those_of_the_contract(
    client: httpx.AsyncClient,
) -> None:
    ann = await registered(client)
    token = ann.tokens["access_token"]
    header = jwt.get_unverified_header(token)
    assert (header["alg"], header["typ"]) == ("EdDSA", "at+jwt")
    keys = (await client.get("/.well-known/jwks.json")).json()["keys"]
    [key] = [key for key in keys if key["kid"] == header["kid"]]
    assert set(key) == {"kid", "kty", "crv", "x", "alg", "use"}
    claims = jwt.decode(token, jwt.PyJWK(key), ["EdDSA"], audience="taskchat", issuer="taskchat")
    assert claims["sub"] == ann.user_id
    assert claims["exp"] - claims["iat"] == 900
    sessions = (await ann.ask("GET", "sessions")).json()["data"]
    assert [one["id"] for one in sessions] == [claims["sid"]]
    assert claims["jti"]
