"""Who may try how often, and how many passwords are hashed at once."""

import asyncio
import os
import sys
import threading
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.accounts.people import PASSWORD, an_email, kept_house, post, registered
from tests.answers import error_of
from tests.conftest import AppMaker
from tests.factories import Person

from taskchat.accounts.passwords import Passwords
from taskchat.accounts.service import AccountDeps
from taskchat.accounts.throttle import Client, _bucket_of
from taskchat.errors import SignInsBusy
from taskchat.http.dependencies import part_of


async def attempt(client: httpx.AsyncClient, email: str, password: str = "x" * 8) -> httpx.Response:
    return await post(client, "login", {"email": email, "password": password})


async def test_after_so_many_wrong_passwords_even_the_right_one_has_to_wait(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(accounts_attempts_per_hour=3) as running:
        ann, bob = await registered(running.client), await registered(running.client)
        for _ in range(3):
            assert (await attempt(running.client, ann.email)).status_code == 401
        for password in ("x" * 8, PASSWORD):
            refused = await attempt(running.client, ann.email.upper(), password)
            assert error_of(refused, 429, ann.email)["error_code"] == "rate_limited"
            assert 0 < int(refused.headers["retry-after"]) <= 1200
        assert (await attempt(running.client, bob.email, PASSWORD)).status_code == 200
        # Whoever is signed in goes on.
        assert (await ann.say("hello")).status_code == 200
        async with superuser.begin() as connection:
            await connection.execute(
                text("UPDATE sign_in_buckets SET updated_at = updated_at - interval '21 minutes'")
            )
        assert (await attempt(running.client, ann.email, PASSWORD)).status_code == 200


async def test_many_who_sign_in_at_once_are_in_nobodys_way(running_app: AppMaker) -> None:
    limits = {"accounts_attempts_per_hour": 100, "accounts_client_attempts_per_hour": 100}
    async with running_app(**limits) as one, running_app(**limits) as other:
        people = [await registered(one.client) for _ in range(3)]
        answers = await asyncio.gather(
            *(
                attempt(running.client, person.email, PASSWORD)
                for running in (one, other)
                for person in people * 4
            )
        )
        assert {answer.status_code for answer in answers} == {200}


async def test_an_unknown_address_is_throttled_as_a_known_one(running_app: AppMaker) -> None:
    async with running_app(accounts_attempts_per_hour=2) as running:
        email = an_email()
        statuses = [(await attempt(running.client, email)).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]


async def test_the_right_password_gives_all_attempts_back(running_app: AppMaker) -> None:
    async with running_app(accounts_attempts_per_hour=2) as running:
        ann = await registered(running.client)
        for _ in range(3):
            assert (await attempt(running.client, ann.email)).status_code == 401
            assert (await attempt(running.client, ann.email, PASSWORD)).status_code == 200


async def test_whoever_holds_a_token_can_not_guess_the_password_either(
    running_app: AppMaker,
) -> None:
    async with running_app(accounts_attempts_per_hour=2) as running:
        ann = await registered(running.client)
        change = {"current_password": "x" * 8, "new_password": "y" * 8}
        statuses = [(await ann.ask("POST", "password", change)).status_code]
        statuses += [
            (await ann.ask("DELETE", "me", {"password": "x" * 8})).status_code for _ in range(2)
        ]
        assert statuses == [401, 401, 429]


async def test_one_client_may_only_try_so_often_at_all_addresses_together(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with superuser.begin() as connection:
        await connection.execute(text("DELETE FROM sign_in_buckets"))
    async with running_app(accounts_client_attempts_per_hour=4) as running:
        ann = await registered(running.client)
        for _ in range(3):
            assert (await attempt(running.client, an_email())).status_code == 401
        refused = await attempt(running.client, an_email())
        assert error_of(refused, 429)["error_code"] == "rate_limited"
        body = {"email": an_email(), "password": PASSWORD}
        assert (await post(running.client, "register", body)).status_code == 429
        elsewhere = httpx.ASGITransport(running.app, client=("203.0.113.7", 1))
        async with httpx.AsyncClient(transport=elsewhere, base_url="http://test") as other:
            assert (await attempt(other, ann.email, PASSWORD)).status_code == 200
    async with superuser.begin() as connection:
        await connection.execute(text("DELETE FROM sign_in_buckets"))


async def test_attempts_at_once_on_two_processes_are_counted_together(
    running_app: AppMaker,
) -> None:
    async with (
        running_app(accounts_attempts_per_hour=3) as one,
        running_app(accounts_attempts_per_hour=3) as other,
    ):
        email = an_email()
        answers = await asyncio.gather(
            *(attempt(running.client, email) for running in (one, other) * 4)
        )
        assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 5


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("", "203.0.113.7", False),
    ],
)
def test_a_client_is_its_address_or_its_network(one: str, other: str, same: bool) -> None:
    assert (_bucket_of(Client(one, "")) == _bucket_of(Client(other, ""))) is same


async def test_full_buckets_are_forgotten_and_hold_no_address(
    running_app: AppMaker, superuser: AsyncEngine
) -> None:
    async with running_app(accounts_attempts_per_hour=3) as running:
        email = an_email()
        await attempt(running.client, email)
        async with superuser.begin() as connection:
            stored = (
                await connection.scalars(text("SELECT to_json(b)::text FROM sign_in_buckets AS b"))
            ).all()
            assert stored
            assert not any(email in row or email.encode().hex() in row for row in stored)
            await connection.execute(
                text("UPDATE sign_in_buckets SET updated_at = updated_at - interval '61 minutes'")
            )
        await kept_house(running)
        async with superuser.connect() as connection:
            assert await connection.scalar(text("SELECT count(*) FROM sign_in_buckets")) == 0


# --- hashing ---


class Held(Passwords):
    """Passwords whose hashing goes on until it is let go."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.go_on = threading.Event()
        self.at_once = self.most_at_once = 0
        self._counting = threading.Lock()

    def _compare(self, password: str, password_hash: str) -> tuple[bool, str | None]:
        with self._counting:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.go_on.wait(30)
        with self._counting:
            self.at_once -= 1
        return True, None

    async def under_way(self, count: int) -> None:
        """Wait until the threads have begun with so many."""
        async with asyncio.timeout(30):
            while self.at_once < count:
                await asyncio.sleep(0.001)


async def verified(passwords: Passwords) -> tuple[bool, str | None]:
    with passwords.place():
        return await passwords.verify("x", "y")


async def test_only_so_many_passwords_are_hashed_at_once_and_only_so_many_wait() -> None:
    passwords = Held(at_once=2, waiting_max=3)
    served = [asyncio.create_task(verified(passwords)) for _ in range(5)]
    await asyncio.sleep(0)
    for _ in range(2):
        with pytest.raises(SignInsBusy) as refused:
            await verified(passwords)
        assert refused.value.retry_after_s
    await passwords.under_way(2)
    passwords.go_on.set()
    assert await asyncio.gather(*served) == [(True, None)] * 5
    assert passwords.most_at_once == 2
    passwords.check_room()
    passwords.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority")
async def test_hashing_lets_everything_else_go_first() -> None:
    passwords = Passwords(at_once=1, waiting_max=0)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert await passwords._run(lambda: os.getpriority(os.PRIO_PROCESS, 0)) == 19
    assert os.getpriority(os.PRIO_PROCESS, 0) == own < 19
    passwords.close()


async def test_who_leaves_the_line_makes_room_in_it() -> None:
    passwords = Held(at_once=1, waiting_max=1)
    served = asyncio.create_task(verified(passwords))
    await asyncio.sleep(0)
    leaves = asyncio.create_task(verified(passwords))
    await asyncio.sleep(0)
    with pytest.raises(SignInsBusy):
        passwords.check_room()
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    passwords.check_room()
    passwords.go_on.set()
    assert await served == (True, None)
    passwords.close()


async def test_a_flood_of_sign_ins_is_refused_and_costs_nobody_an_attempt(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "taskchat.accounts.service.Passwords", lambda **_: Held(at_once=1, waiting_max=0)
    )
    async with running_app(accounts_attempts_per_hour=2) as running:
        passwords = part_of(running.app, AccountDeps).passwords
        assert isinstance(passwords, Held)
        email = an_email()
        first = asyncio.create_task(attempt(running.client, email))
        await passwords.under_way(1)
        for _ in range(5):
            answer = await attempt(running.client, email)
            assert (answer.status_code, answer.json()["error_code"]) == (503, "overloaded")
            assert int(answer.headers["retry-after"]) > 0
        # Turns go on meanwhile.
        assert (await Person().say(running.client, "hello")).status_code == 200
        passwords.go_on.set()
        assert (await first).status_code == 401
        assert (await attempt(running.client, email)).status_code == 401
        assert (await attempt(running.client, email)).status_code == 429


async def test_of_many_who_come_at_once_those_who_find_no_place_are_charged_nothing(
    running_app: AppMaker, monkeypatch: pytest.MonkeyPatch, superuser: AsyncEngine
) -> None:
    monkeypatch.setattr(
        "taskchat.accounts.service.Passwords", lambda **_: Held(at_once=1, waiting_max=1)
    )
    async with superuser.begin() as connection:
        await connection.execute(text("DELETE FROM sign_in_buckets"))
    async with running_app(accounts_client_attempts_per_hour=100) as running:
        passwords = part_of(running.app, AccountDeps).passwords
        assert isinstance(passwords, Held)
        left = {asyncio.create_task(attempt(running.client, an_email())) for _ in range(8)}
        refused: set[asyncio.Task[httpx.Response]] = set()
        async with asyncio.timeout(30):
            while len(refused) < 6:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                refused |= done
        passwords.go_on.set()
        assert {task.result().status_code for task in refused} == {503}
        assert [answer.status_code for answer in await asyncio.gather(*left)] == [401, 401]
    async with superuser.connect() as connection:
        levels = await connection.scalars(text("SELECT level FROM sign_in_buckets"))
    assert list(map(round, levels)) == [98]
