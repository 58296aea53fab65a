"""Every row of the table at every way in: refused in its own form, echoed and stored nowhere."""

import base64
import hmac
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.accounts.people import registered
from tests.answers import CODES, MARK, Answer, ask, error_of
from tests.conftest import JWT_SECRET, RunningApp
from tests.factories import Person
from tests.hostile.rows import ACCEPTED, ROWS, Kind, Row
from tests.hostile.ways import GOOD, SAID, SOCKET, TEXTS, Way, ways_of
from tests.isolation.test_tables import kept_of, rows_of
from tests.test_isolation import owned

JSON = {"Content-Type": "application/json"}


@dataclass
class AccountHolder(Person):
    """A user whose token comes from an account here: for them every way in is open."""

    token: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Place:
    """The service, and somebody who has one of everything."""

    running: RunningApp
    ways: list[Way]
    person: Person
    ids: dict[str, str]

    async def ask(
        self,
        way: Way,
        headers: list[tuple[bytes, bytes]],
        *,
        method: str = "",
        target: str = "",
        raw: bytes = b"",
    ) -> Answer:
        """Ask as nobody but who the headers name."""
        return await ask(
            self.running.app,
            method or way.method,
            (target or self.address(way)).encode(),
            headers=[(b"host", b"test"), *headers],
            body=raw,
        )

    def address(self, way: Way) -> str:
        return way.address(self.person.user_id, self.ids)


@pytest.fixture(scope="module")
async def place(offline_app: RunningApp) -> Place:
    signed_in = await registered(offline_app.client)
    await KNOWN.say(offline_app.client, "hello")
    holder = AccountHolder(signed_in.user_id, signed_in.tokens["access_token"])
    person, ids = await owned(offline_app, holder)
    sessions = await signed_in.ask("GET", "sessions")
    ids["session_id"] = sessions.json()["data"][0]["id"]
    ids["token"] = "t" * 43
    return Place(offline_app, ways_of(offline_app.app, offline_app.turns.settings), person, ids)


def check_refusal(answer: Answer, status: int, path: str) -> None:
    """Check a refusal: in the form of that way in, and nothing of what came is in it."""
    if status == 204:
        assert (answer.status, answer.content) == (204, b"")
        return
    if path.startswith("/v1/"):
        assert answer.status == status, answer.content
        assert answer.headers["content-type"] == "application/json"
        error = answer.json()["error"]
        assert list(error) == ["message", "type", "param", "code"]
        assert error["code"] in CODES[status]
    elif path == "/mcp" and b'"jsonrpc"' in answer.content:
        assert answer.status == status, answer.content
        told = answer.json()
        assert set(told) == {"jsonrpc", "id", "error"}
        assert told["error"]["data"]["error_code"] in CODES[status]
    else:
        error_of(answer, status)
    assert MARK.encode() not in answer.content
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert ("www-authenticate" in answer.headers) == (status == 401)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def forgeries(person: Person) -> dict[str, str]:
    """Tokens that prove nothing, by the words that stand for them in a row."""

    def signed(secret: str, alg: str = "HS256", **claims: Any) -> str:
        claims = {"sub": person.user_id, "exp": int(time.time()) + 60} | claims
        payload = f"{encoded({'alg': alg, 'typ': 'JWT'})}.{encoded(claims)}"
        signature = hmac.digest(secret.encode(), payload.encode(), "sha256")
        return f"{payload}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    good = signed(JWT_SECRET)
    return {
        "GOOD": person.headers["Authorization"],
        "UNSIGNED": signed("", alg="none").rpartition(".")[0] + ".",
        "STRIPPED": good.rpartition(".")[0] + ".",
        "FORGED": signed("another secret of more than 32 bytes."),
        "EXPIRED": signed(JWT_SECRET, exp=int(time.time()) - 3600),
        "NOBODYS": signed(JWT_SECRET, sub=""),
        "LONG": signed(JWT_SECRET, padding="x" * 9000),
    }


Attempt = tuple[list[tuple[bytes, bytes]], dict[str, Any]]


def attempts(row: Row, way: Way, place: Place) -> Iterator[Attempt]:
    """What is sent of a row at a way in: headers, and what else `Place.ask` takes."""
    own = place.person.headers
    besides = lines(way.headers)
    token = [(b"authorization", own["Authorization"].encode())] if way.is_secured else []
    plain = [*token, *besides, (b"content-type", b"application/json")]
    good = json.dumps(way.good).encode() if way.has_body else b""
    address = way.address(place.person.user_id, place.ids)
    for sent in row.sent.values():
        match row.kind:
            case Kind.BODY if isinstance(sent, dict):
                yield [*token, *lines(sent)], {"raw": good}
            case Kind.BODY:
                yield plain, {"raw": sent(way)}
            case Kind.TEXT | Kind.MESSAGE:
                yield plain, {"raw": way.saying(sent)}
            case Kind.ID:
                for id_ in way.ids:
                    target = way.address(place.person.user_id, place.ids | {id_: sent})
                    yield plain, {"target": target, "raw": good}
            case Kind.OWNER:
                other = {"known": KNOWN.user_id}.get(sent, sent)
                yield plain, {"target": way.address(other, place.ids), "raw": good}
            case Kind.ADDRESS:
                yield plain, {"target": sent.format(address), "raw": good}
            case Kind.KEY:
                yield [*plain, (b"idempotency-key", sent)], {"raw": good}
            case Kind.TOKEN:
                forged = forgeries(place.person)
                values = [word_for(value, forged) for value in sent]
                headers = [(b"authorization", value.encode()) for value in values]
                yield [*headers, (b"content-type", b"application/json")], {"raw": good}
            case Kind.HEADERS:
                yield [*plain, *lines(sent)], {"raw": good}
            case Kind.METHOD:
                yield plain, {"method": sent}


def lines(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def word_for(value: str, words: dict[str, str]) -> str:
    scheme, _, word = value.rpartition(" ")
    return f"{scheme} {words.get(word, word)}".strip()


KNOWN = Person()
"""Somebody else who exists."""


def test_every_operation_with_a_body_has_a_good_one(place: Place) -> None:
    taking = {way.name for way in (*place.ways, SOCKET) if way.has_body}
    assert taking == set(GOOD)
    assert set(TEXTS) <= taking
    # Of these two the one has no text, and the other's are the tool's business.
    assert taking - set(TEXTS) == {
        "POST /api/{user_id}/conversations/{conversation_id}/shares",
        "POST /mcp",
    }


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.words[:60])
async def test_a_row_is_refused_at_every_way_in(
    place: Place, superuser: AsyncEngine, row: Row
) -> None:
    before = await kept_of(superuser, place.person)
    tried = 0
    for number, way in enumerate(fitting(row, place.ways)):
        status = row.status_at(way)
        for headers, options in chosen(list(attempts(row, way, place)), number):
            if status == ACCEPTED or options.get("method") in methods_at(way, place.ways):
                continue
            tried += 1
            answer = await place.ask(way, headers, **options)
            target = options.get("target", place.address(way))
            try:
                check_refusal(answer, status, target)
            except (AssertionError, KeyError, ValueError) as error:
                sent = json.dumps(options, default=repr)[:300]
                raise AssertionError(f"{way.name}: {sent}: {answer}") from error
    assert tried >= 5
    assert await kept_of(superuser, place.person) == before


def fitting(row: Row, ways: list[Way]) -> list[Way]:
    """The ways in that have what a row is about."""
    return [way for way in ways if row.kind.fits(way)]


def chosen(all_of_them: list[Attempt], number: int) -> list[Attempt]:
    """One spelling a way in, another one at the next; all of them if that is asked for."""
    whole = "HOSTILE_EXAMPLES" in os.environ
    return all_of_them if whole else [all_of_them[number % len(all_of_them)]]


def methods_at(way: Way, ways: list[Way]) -> set[str]:
    """The methods that an address takes."""
    return {other.method for other in ways if other.path == way.path}


async def test_every_good_body_is_taken_where_it_is_sent(
    offline_app: RunningApp, place: Place
) -> None:
    person, ids = await owned(offline_app)
    for way in place.ways:
        # Routes of accounts are another account's, and say so only when they have read it.
        if not way.has_body:
            continue
        who = place.person if way.path.startswith("/api/auth/") else person
        if way.path.endswith("/rating"):
            # A reply is rated, and not what its user said.
            ids = ids | {"message_id": ids["reply_id"]}
        answer = await offline_app.client.request(
            way.method,
            way.address(who.user_id, ids),
            json=way.good,
            headers=who.headers | way.headers,
        )
        assert answer.status_code not in {400, 413, 415, 422}, (way.name, answer.text)


STRANGE = {
    "right to left": "\u202egnp.exe buy milk\u202c",
    "joined emoji": "add 👩\u200d👩\u200d👧\u200d👦 and 🏳️\u200d🌈",
    "5,000 emoji": "🦓" * 5000,
    "not normalised": "e\u0301 is not é, ﬁ is not fi",
    "syntax of others": "'; DROP TABLE messages; -- \\ %s {0} $1 <script>",
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
async def test_a_strange_message_is_kept_as_it_is_by_whatever_way_it_comes(
    offline_app: RunningApp, place: Place, superuser: AsyncEngine, text: str
) -> None:
    person, ids = await owned(offline_app)
    told = [way for way in place.ways if way.name in SAID]
    # Of a schedule it is said later.
    told = [way for way in told if not way.path.endswith("/schedules")]
    assert len(told) >= 7
    for way in told:
        answer = await offline_app.client.request(
            way.method,
            way.address(person.user_id, ids),
            content=way.saying(json.dumps(text).encode()),
            headers=person.headers | way.headers | {"Content-Type": "application/json"},
        )
        assert answer.status_code < 300, (way.name, answer.text)
    rows = (await rows_of(superuser, person))["messages"]
    contents = [json.loads(row)["content"] for row in rows]
    assert contents.count(text) == len(told)


async def test_a_key_that_comes_with_another_body_gets_422_by_every_way_that_has_keys(
    offline_app: RunningApp, place: Place, superuser: AsyncEngine
) -> None:
    keyed = [way for way in place.ways if Kind.KEY.fits(way) and way.name in TEXTS]
    assert len(keyed) >= 6
    for way in keyed:
        person, ids = await owned(offline_app)
        headers = person.headers | way.headers
        headers |= {"Content-Type": "application/json", "Idempotency-Key": "once"}
        address = way.address(person.user_id, ids)
        answers = [
            await offline_app.client.request(
                way.method, address, content=way.saying(said), headers=headers
            )
            for said in (b'"hello"', b'"%s"' % MARK.encode())
        ]
        assert answers[0].status_code < 300, (way.name, answers[0].text)
        got = Answer(answers[1].status_code, answers[1].headers, answers[1].content)
        check_refusal(got, 422, way.path)
        messages = (await rows_of(superuser, person))["messages"]
        assert not any(MARK in row for row in messages), way.name
