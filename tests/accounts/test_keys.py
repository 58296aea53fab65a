"""The keys of accounts: published before they sign, replaced, taken back; and never mixed up."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from sqlalchemy import text
from tests.accounts.people import registered
from tests.auth.conftest import Provider
from tests.conftest import JWT_SECRET, MakeDatabase, RunningApp

from taskchat.accounts.service import AccountDeps
from taskchat.auth import repository
from taskchat.auth.issuing import issue_access_token, issue_token
from taskchat.auth.keys import KEY_PREFIX, LEAD_S, VERIFIES_S, KeyRing, check_keys, describe
from taskchat.auth.repository import forget_keys
from taskchat.auth.tokens import TokenVerifier
from taskchat.errors import DatabaseError, InvalidAuth
from taskchat.http.dependencies import part_of
from taskchat.moments import new_id
from taskchat.postgres.database import Database
from taskchat.principal import account_user_id
from taskchat.settings import Settings

SECRET = "a secret of thirty-two bytes or more"


@pytest.fixture
async def own(migrated_database: MakeDatabase, settings: Settings) -> AsyncIterator[Database]:
    """A database without any key."""
    async with migrated_database() as url:
        database = Database(url, settings)
        yield database
        await database.close()


def options(**changes: Any) -> Settings:
    return Settings(_env_file=None, accounts=True, **changes)


async def age(database: Database, hours: float) -> None:
    """Let time pass for every key."""
    async with database.login_transaction() as connection:
        # Whoever logs in here is bound by no policy.
        await connection.execute(
            text("UPDATE signing_keys SET signs_at = signs_at - make_interval(secs => :seconds)"),
            {"seconds": hours * 3600},
        )


async def ids(database: Database) -> list[str]:
    return [line.split()[0] for line in await describe(database)]


async def test_many_processes_make_one_first_key(own: Database) -> None:
    rings = [KeyRing(own, options()) for _ in range(8)]
    signers = await asyncio.gather(*(ring.signer() for ring in rings))
    assert len({signer.id for signer in signers}) == 1
    assert len(await ids(own)) == 1


async def test_a_key_is_published_before_it_signs_and_the_old_one_verifies_until_its_last_token(
    own: Database,
) -> None:
    ring, other = KeyRing(own, options()), KeyRing(own, options())
    old = (await ring.signer()).id
    assert (await other.signer()).id == old
    new = await ring.rotate()
    await other.look()
    for one in (ring, other):
        assert {key["kid"] for key in (await one.published())["keys"]} == {old, new}
        assert (await one.signer()).id == old
    await age(own, (LEAD_S + 1) / 3600)
    for one in (ring, other):
        await one.look()
        assert (await one.signer()).id == new
        assert (await one.key(old)).key_id == old
    for hours, left in ((VERIFIES_S - 60) / 3600, {old, new}), (120 / 3600, {new}):
        await age(own, hours)
        async with own.system_transaction() as connection:
            await forget_keys(connection, verifies_s=VERIFIES_S, rows_max=10)
        assert set(await ids(own)) == left
    await ring.look()
    with pytest.raises(InvalidAuth):
        await ring.key(old)


async def test_a_key_that_is_old_enough_is_replaced_once_whoever_notices(own: Database) -> None:
    rings = [KeyRing(own, options(accounts_key_rotation_h=24)) for _ in range(4)]
    old = (await rings[0].signer()).id
    await age(own, 23)
    await asyncio.gather(*(ring.look() for ring in rings))
    assert await ids(own) == [old]
    await age(own, 2)
    await asyncio.gather(*(ring.look() for ring in rings))
    assert len(await ids(own)) == 2
    assert {(await ring.signer()).id for ring in rings} == {old}
    never = KeyRing(own, options(accounts_key_rotation_h=0))
    await age(own, 10_000)
    await never.look()
    assert len(await ids(own)) == 2


async def test_a_key_that_leaked_is_taken_back_at_once(own: Database) -> None:
    ring, other = KeyRing(own, options()), KeyRing(own, options())
    leaked = (await ring.signer()).id
    await other.look()
    new = await ring.rotate(now=True)
    assert await ids(own) == [new]
    assert (await ring.signer()).id == new
    await other.look()
    with pytest.raises(InvalidAuth):
        await other.key(leaked)


async def test_an_unknown_key_is_looked_for_once_a_second_however_many_ask(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    ring = KeyRing(own, options(), clock=lambda: now[0])
    await ring.look()
    looks = 0
    stored = repository.keys

    async def counted(connection: Any) -> Any:
        nonlocal looks
        looks += 1
        return await stored(connection)

    monkeypatch.setattr(repository, "keys", counted)
    for moment, expected in ((1000.5, 0), (1001.5, 1), (1001.6, 1), (1003.0, 2)):
        now[0] = moment
        found = await asyncio.gather(
            *(ring.key(f"{KEY_PREFIX}{new_id()}") for _ in range(20)), return_exceptions=True
        )
        assert all(isinstance(one, InvalidAuth) for one in found)
        assert looks == expected


async def test_an_outage_of_the_database_is_not_taken_for_the_end_of_a_token(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    ring = KeyRing(own, options(), clock=lambda: now[0])
    known = (await ring.signer()).id

    async def away(connection: Any) -> Any:
        raise DatabaseError

    monkeypatch.setattr(repository, "keys", away)
    now[0] += 10
    for _ in range(2):
        with pytest.raises(InvalidAuth) as refused:
            await ring.key(f"{KEY_PREFIX}{new_id()}")
        assert refused.value.retry_after_s == 1
    # What is known goes on.
    assert (await ring.key(known)).key_id == known
    assert (await ring.signer()).id == known
    with pytest.raises(DatabaseError):
        await KeyRing(own, options()).signer()


async def test_a_process_meets_the_key_of_another_without_a_restart(own: Database) -> None:
    now = [1000.0]
    ring, other = KeyRing(own, options(), clock=lambda: now[0]), KeyRing(own, options())
    await ring.look()
    new = await other.rotate(now=True)
    now[0] += 2
    assert (await ring.key(new)).key_id == new


async def test_with_a_secret_the_database_alone_can_sign_nothing(own: Database) -> None:
    ring = KeyRing(own, options(accounts_secret=SECRET))
    signer = await ring.signer()
    async with own.login_transaction() as connection:
        rows = await connection.execute(
            text("SELECT encrypted, private_key, public_key FROM signing_keys")
        )
        row = rows.one()
    raw = signer.private_key.private_bytes_raw()
    assert row.encrypted is True
    assert raw not in row.private_key
    assert (await KeyRing(own, options(accounts_secret=SECRET)).signer()).id == signer.id
    assert raw.hex() not in repr(signer)


async def test_another_secret_or_none_means_a_new_key_and_the_old_one_still_verifies(
    own: Database,
) -> None:
    seen = []
    for secret in (None, SECRET, SECRET + " and more", None):
        ring = KeyRing(own, options(accounts_secret=secret))
        seen.append((await ring.signer()).id)
        for known in seen:
            assert (await ring.key(known)).key_id == known
    assert seen[0] == seen[-1]
    assert len(set(seen)) == 3


async def test_no_row_can_be_given_the_encrypted_key_of_another(own: Database) -> None:
    ring = KeyRing(own, options(accounts_secret=SECRET))
    old, new = (await ring.signer()).id, await ring.rotate()
    async with own.login_transaction() as connection:
        await connection.execute(
            text(
                "UPDATE signing_keys SET private_key = (SELECT private_key FROM signing_keys"
                " WHERE id = :new) WHERE id = :old"
            ),
            {"old": old, "new": new},
        )
    assert (await KeyRing(own, options(accounts_secret=SECRET)).signer()).id not in (old, new)


async def test_a_login_that_may_not_serve_accounts_is_told_what_to_grant(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await check_keys(own) is None
    monkeypatch.setattr("taskchat.postgres.database.ACCOUNTS_ROLE", "no_such_role")
    problem = await check_keys(own)
    assert problem is not None
    assert "GRANT taskchat_accounts TO it" in problem


# --- whose token is whose ---


def unsigned(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


async def refused(running: RunningApp, token: str, user_id: str) -> None:
    answer = await running.client.get(
        f"/api/{user_id}/tasks", headers={"Authorization": f"Bearer {token}"}
    )
    assert (answer.status_code, answer.json()["error_code"]) == (401, "invalid_auth")


def hs256(claims: dict[str, Any], **header: Any) -> str:
    return jwt.encode(claims, JWT_SECRET, "HS256", header)


def by_hand(claims: dict[str, Any], secret: bytes, kid: str) -> str:
    """A token by HS256 with a secret that the library would refuse."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": kid}, claims)
    ]
    signature = hmac.digest(secret, b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


async def test_the_shared_secret_can_not_speak_for_an_account(offline_app: RunningApp) -> None:
    ann = await registered(offline_app.client)
    claims = unsigned(ann.tokens["access_token"])
    kid = jwt.get_unverified_header(ann.tokens["access_token"])["kid"]
    for token in (hs256(claims), hs256(claims, kid=kid), hs256({**claims, "sid": None})):
        await refused(offline_app, token, ann.user_id)
    with pytest.raises(ValueError, match="login"):
        issue_token(ann.user_id, secret=JWT_SECRET, ttl_s=60, issuer=None, audience=None)


async def test_an_identity_provider_can_not_speak_for_an_account(
    offline_app: RunningApp, provider: Provider
) -> None:
    ann = await registered(offline_app.client)
    ring = part_of(offline_app.app, AccountDeps).keys
    kid = (await ring.signer()).id
    provider.publish(provider.public("EdDSA"), provider.public("EdDSA", kid=kid))
    claims = unsigned(ann.tokens["access_token"])
    settings = options(jwt_jwks_url=provider.url)
    verifier = TokenVerifier(settings, ring)
    for header in ({"kid": "EdDSA"}, {"kid": kid}):
        with pytest.raises(InvalidAuth):
            await verifier.verify(provider.token("EdDSA", header, **claims))
    # With accounts switched off, too: their rows are still there.
    for header in ({"kid": "EdDSA"}, {"kid": kid}):
        with pytest.raises(InvalidAuth):
            await TokenVerifier(settings).verify(provider.token("EdDSA", header, **claims))
    others = await verifier.verify(provider.token("EdDSA", {"kid": "EdDSA"}, sub="ada"))
    assert (others.principal.user_id, others.session) == ("ada", None)
    assert (await verifier.verify(ann.tokens["access_token"])).session is not None
    await verifier.close()


async def test_our_keys_speak_for_accounts_alone(offline_app: RunningApp) -> None:
    deps = part_of(offline_app.app, AccountDeps)
    signer = await deps.keys.signer()
    account = account_user_id(new_id())
    verifier = TokenVerifier(deps.settings, deps.keys)
    good: dict[str, Any] = {
        "iss": "taskchat",
        "aud": "taskchat",
        "sub": account,
        "sid": str(new_id()),
        "exp": int(time.time()) + 60,
    }

    def token(**changes: Any) -> str:
        claims = {name: value for name, value in (good | changes).items() if value is not None}
        return jwt.encode(claims, signer.private_key, "EdDSA", {"kid": signer.id})

    assert (await verifier.verify(token())).principal.user_id == account
    wrong: list[dict[str, Any]] = [
        {"sub": "ann"},
        {"sub": f"{account}0"},
        {"sub": account.upper()},
        {"sub": None},
        {"iss": "somebody else"},
        {"iss": None},
        {"aud": "somebody else"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"sid": "x"},
        {"sid": 7},
        {"sid": None},
    ]
    for changes in wrong:
        with pytest.raises(InvalidAuth):
            await verifier.verify(token(**changes))


async def test_a_forged_key_id_or_algorithm_proves_nothing(offline_app: RunningApp) -> None:
    ann = await registered(offline_app.client)
    claims = unsigned(ann.tokens["access_token"])
    keys = (await offline_app.client.get("/.well-known/jwks.json")).json()["keys"]
    public = base64.urlsafe_b64decode(keys[0]["x"] + "=")
    forger = Ed25519PrivateKey.generate()
    tokens = [
        jwt.encode(claims, forger, "EdDSA", {"kid": keys[0]["kid"]}),
        jwt.encode(claims, forger, "EdDSA", {"kid": f"{KEY_PREFIX}{new_id()}"}),
        jwt.encode(claims, forger, "EdDSA", {"kid": KEY_PREFIX}),
        jwt.encode(claims, forger, "EdDSA"),
        # The public key as if it were a shared secret.
        *(
            by_hand(claims, secret, keys[0]["kid"])
            for secret in (public, json.dumps(keys[0]).encode())
        ),
        jwt.encode(claims, "", "none", {"kid": keys[0]["kid"]}),
    ]
    for token in tokens:
        await refused(offline_app, token, ann.user_id)


async def test_tokens_name_the_configured_issuer_and_audience(own: Database) -> None:
    settings = options(accounts_issuer="https://tasks.example.org", jwt_audience="tasks")
    ring = KeyRing(own, settings)
    token = issue_access_token(
        await ring.signer(),
        account_user_id(new_id()),
        new_id(),
        ttl_s=60,
        issuer=settings.accounts_issuer,
        audience=settings.accounts_audience,
    )
    assert {name: unsigned(token)[name] for name in ("iss", "aud")} == {
        "iss": "https://tasks.example.org",
        "aud": "tasks",
    }
    verified = await TokenVerifier(settings, ring).verify(token)
    assert verified.expires_at > time.time()
    with pytest.raises(InvalidAuth):
        await TokenVerifier(options(), ring).verify(token)


def test_the_two_issuers_may_not_be_one() -> None:
    with pytest.raises(ValueError, match="TASKCHAT_ACCOUNTS_ISSUER must differ"):
        options(jwt_issuer="taskchat")
    with pytest.raises(ValueError, match="TASKCHAT_ACCOUNTS_SECRET needs at least 32 bytes"):
        options(accounts_secret=SecretStr("short"))
    with pytest.raises(ValueError, match="PASSWORD_CHARS_MIN must be"):
        options(accounts_password_chars_min=100, accounts_password_chars_max=64)
