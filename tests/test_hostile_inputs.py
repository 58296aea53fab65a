"""What people send who mean harm, or whose client is broken, and the one answer each of it gets."""

import json
import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.answers import CODES, MARK, ask, error_of, raw_headers
from tests.conftest import RunningApp
from tests.factories import Person

from taskchat.moments import new_id

JSON = {"Content-Type": "application/json"}
UNKNOWN = "0199f3a0-0000-7000-8000-00000000dead"

NOT_THE_CONTRACT: dict[str, bytes] = {
    "empty": b"",
    "white space": b" \r\n\t ",
    "truncated": b'{"message": "%s' % MARK.encode(),
    "trailing junk": b'{"message": "%s"} %s' % (MARK.encode(), MARK.encode()),
    "two objects": b'{"message": "a"}{"message": "%s"}' % MARK.encode(),
    "comments": b'{"message": "%s" /* no */}' % MARK.encode(),
    "single quotes": b"{'message': '%s'}" % MARK.encode(),
    "a trailing comma": b'{"message": "%s",}' % MARK.encode(),
    "an array": b'["%s"]' % MARK.encode(),
    "an array of one message": b'[{"message": "%s"}]' % MARK.encode(),
    "null": b"null",
    "a string": b'"%s"' % MARK.encode(),
    "a number": b"1",
    "NaN": b'{"message": NaN}',
    "NaN beside a message": b'{"message": "%s", "conversation_id": NaN}' % MARK.encode(),
    "Infinity": b'{"message": -Infinity}',
    "Infinity alone": b"Infinity",
    "1e999": b'{"message": 1e999}',
    "1e999 beside a message": b'{"message": "%s", "conversation_id": 1e999}' % MARK.encode(),
    "a lone surrogate in the message": rb'{"message": "zebra-7c1f \ud800"}',
    "a lone low surrogate": rb'{"message": "\udc00 zebra-7c1f"}',
    "surrogates in the wrong order": rb'{"message": "\ude00\ud83d"}',
    "a lone surrogate in the id": rb'{"message": "hi", "conversation_id": "\ud800"}',
    "a lone surrogate as a key": rb'{"message": "hi", "\ud800": 1}',
    "bytes FF FE": b'{"message": "\xff\xfe"}',
    "bytes FF FE alone": b"\xff\xfe",
    "an overlong encoding": b'{"message": "\xc0\xaf"}',
    "an overlong NUL": b'{"message": "\xc0\x80"}',
    "an encoded surrogate": b'{"message": "\xed\xa0\x80"}',
    "an encoded surrogate pair": b'{"message": "\xed\xa0\xbd\xed\xb8\x80"}',
    "beyond Unicode": b'{"message": "\xf4\x90\x80\x80"}',
    "an escaped NUL": rb'{"message": "zebra-7c1f \u0000"}',
    "an escaped NUL alone": rb'{"message": "\u0000"}',
    "a raw NUL": b'{"message": "zebra-7c1f \x00"}',
    "a raw newline in a string": b'{"message": "zebra-7c1f \n"}',
    "UTF-16": '{"message": "hi"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"message": "hi"}'.encode("utf-16-le"),
    "UTF-32": '{"message": "hi"}'.encode("utf-32"),
    "a byte order mark": b'\xef\xbb\xbf{"message": "zebra-7c1f"}',
    "5,000 arrays deep": b"[" * 5000 + b"]" * 5000,
    "5,000 arrays never closed": b"[" * 5000,
    "5,000 objects deep in the message": b'{"message": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    "5,000 arrays deep in an unknown key": b'{"message": "hi", "a": ' + b"[" * 5000,
    "a number of 5,000 digits": b'{"message": ' + b"7" * 5000 + b"}",
    "a number of 5,000 digits as an id": b'{"message": "hi", "conversation_id": '
    + b"7" * 5000
    + b"}",
    "a number of 5,000 digits alone": b"7" * 5000,
    "a key twice": b'{"message": "one", "message": "zebra-7c1f"}',
    "a key twice, once escaped": rb'{"message": "one", "\u006dessage": "zebra-7c1f"}',
    "an id twice": b'{"message": "one", "conversation_id": null, "conversation_id": null}',
    "the key user_id": b'{"message": "hi", "user_id": "zebra-7c1f"}',
    "the key role": b'{"message": "hi", "role": "system"}',
    "the key __proto__": b'{"message": "hi", "__proto__": {"zebra-7c1f": 1}}',
    "an unknown key that is long": b'{"message": "hi", "zebra-7c1f%s": 1}' % (b"x" * 5000),
    "an empty key": b'{"message": "hi", "": "zebra-7c1f"}',
    "a key in capitals": b'{"Message": "zebra-7c1f"}',
    "a message that is a number": b'{"message": 7}',
    "a message that is a truth": b'{"message": true}',
    "a message that is null": b'{"message": null}',
    "a message that is a list": b'{"message": ["zebra-7c1f"]}',
    "a message that is an object": b'{"message": {"zebra-7c1f": "zebra-7c1f"}}',
    "no message": b"{}",
    "only an id": b'{"conversation_id": null}',
    "an empty message": b'{"message": ""}',
    "only spaces": b'{"message": "   \\n\\t "}',
    "only spaces of Unicode": '{"message": "\u00a0\u2003\u3000\u2028"}'.encode(),
    "only zero-width characters": '{"message": "\u200b\u200c\u200d\u2060\ufeff"}'.encode(),
    "only marks of direction": '{"message": "\u202e\u200f\u2066\u2069"}'.encode(),
    "only variation selectors": '{"message": "\ufe0f\ufe0e"}'.encode(),
    "only tags": '{"message": "\U000e0041\U000e007f"}'.encode(),
    "only fillers": '{"message": "\u3164\u115f\uffa0\u2800"}'.encode(),
    "5,001 characters": json.dumps({"message": "zebra-7c1f" + "x" * 4991}).encode(),
    "5,001 emoji": json.dumps({"message": "🦓" * 5001}, ensure_ascii=False).encode(),
    "5,001 characters, all escaped": b'{"message": "' + rb"\u0041" * 5001 + b'"}',
}

NO_UUID: dict[str, object] = {
    "urn": f"urn:uuid:{UNKNOWN}",
    "braces": f"{{{UNKNOWN}}}",
    "no hyphens": UNKNOWN.replace("-", ""),
    "hyphens elsewhere": f"-{UNKNOWN.replace('-', '')}---",
    "a space in front": f" {UNKNOWN}",
    "a newline behind": f"{UNKNOWN}\n",
    "digits of another script": UNKNOWN.replace("0", "\u0660"),
    "a letter too far": UNKNOWN.replace("d", "g"),
    "empty": "",
    "new": "new",
    "a path": f"../{MARK}",
    "a statement": f"'; DROP TABLE messages; -- {MARK}",
    "a number": 7,
    "a float": 7.5,
    "false": False,
    "a list": [UNKNOWN],
    "an object": {"id": UNKNOWN},
}


@pytest.fixture
def person() -> Person:
    return Person()


async def post(
    client: httpx.AsyncClient, person: Person, raw: bytes, **headers: str
) -> httpx.Response:
    return await client.post(
        person.chat_path,
        content=raw,
        headers={**person.headers, **JSON, **{k.replace("_", "-"): v for k, v in headers.items()}},
    )


async def stored_messages(superuser: AsyncEngine, person: Person) -> list[str]:
    statement = text(
        "SELECT content FROM messages WHERE user_id = :owner AND role = 'user' ORDER BY id"
    )
    async with superuser.connect() as connection:
        return list((await connection.execute(statement, {"owner": person.user_id})).scalars())


# --- the body of a chat turn ---


@pytest.mark.parametrize("raw", NOT_THE_CONTRACT.values(), ids=NOT_THE_CONTRACT)
async def test_a_body_that_is_not_the_contract_gets_400_and_is_not_stored(
    client: httpx.AsyncClient, superuser: AsyncEngine, person: Person, raw: bytes
) -> None:
    body = error_of(await post(client, person, raw), 400, "xxxx", "7777", "DROP")
    assert body["error_code"] == "invalid_request"
    assert body["details"]
    assert await stored_messages(superuser, person) == []


async def test_a_refused_body_says_which_field_and_never_names_a_key_that_is_not_ours(
    client: httpx.AsyncClient, person: Person
) -> None:
    body = error_of(await post(client, person, b'{"message": 7, "zebra-7c1f": 1}'), 400)
    assert body["details"] == [
        {"field": "message", "problem": "input should be a valid string"},
        {"field": "body", "problem": "has a key that is not part of the contract"},
    ]


@pytest.mark.parametrize(
    "message",
    [
        "\u202egnp.exe buy milk\u202c",
        "add 👩\u200d👩\u200d👧\u200d👦 and 🏳️\u200d🌈 to my list",
        "🦓" * 5000,
        "e\u0301 is not é, ﬁ is not fi, Å is not Å",
        "a\u200bb",
        "line one\r\nline two\ttab \x1b[31m",
        "'; DROP TABLE messages; -- \\ %s {0} $1 <script>",
        "سلام، شیر بخر",
        "\ufdd0 \U0010ffff \U000f0000",
    ],
    ids=[
        "right-to-left override",
        "joined emoji",
        "5,000 emoji",
        "not normalised",
        "zero-width inside",
        "controls",
        "syntax of others",
        "right to left",
        "noncharacters",
    ],
)
async def test_a_strange_message_is_stored_byte_for_byte(
    client: httpx.AsyncClient, superuser: AsyncEngine, person: Person, message: str
) -> None:
    for ascii_only in (True, False):
        raw = json.dumps({"message": message}, ensure_ascii=ascii_only).encode()
        answer = await post(client, person, raw)
        assert answer.status_code == 200, answer.text
        assert answer.json()["messages"][0]["content"] == message
    assert await stored_messages(superuser, person) == [message, message]


async def test_a_message_is_trimmed_before_it_is_measured(
    client: httpx.AsyncClient, superuser: AsyncEngine, person: Person
) -> None:
    answer = await person.say(client, f" \n{'x' * 5000}\t ")
    assert answer.status_code == 200
    assert await stored_messages(superuser, person) == ["x" * 5000]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_a_body_over_64_kib_gets_413(
    client: httpx.AsyncClient, person: Person, declared: bool
) -> None:
    raw = json.dumps({"message": MARK, "conversation_id": " " * 65_536}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(raw), 1000):
            yield raw[start : start + 1000]

    answer = await client.post(
        person.chat_path, content=raw if declared else chunks(), headers=person.headers | JSON
    )
    assert error_of(answer, 413)["error_code"] == "payload_too_large"


async def test_a_body_of_exactly_64_kib_is_read(client: httpx.AsyncClient, person: Person) -> None:
    raw = b'{"message": "hello"}'
    assert (await post(client, person, raw.ljust(65_536))).status_code == 200
    error_of(await post(client, person, raw.ljust(65_537)), 413)


async def test_a_body_without_end_is_read_up_to_the_limit_and_no_further(
    offline_app: RunningApp, person: Person
) -> None:
    given_out = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given_out
        while True:
            given_out += 1024
            yield b" " * 1024

    headers = raw_headers(person.headers | JSON)
    answer = await ask(
        offline_app.app, "POST", person.chat_path.encode(), headers=headers, body=endless()
    )
    error_of(answer, 413)
    assert given_out <= 65_536 + 1024


@pytest.mark.parametrize("length", ["9" * 5000, "²", "-1", "+5", "0x5", "1e3", "", "5, 5"])
async def test_a_declared_length_of_any_form_is_no_crash(
    client: httpx.AsyncClient, person: Person, length: str
) -> None:
    headers: Any = [*(person.headers | JSON).items(), (b"Content-Length", length.encode("latin-1"))]
    answer = await client.post(person.chat_path, content=b"{}", headers=headers)
    error_of(answer, 413 if length.startswith("9") else 400)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/problem+json",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json, text/plain",
        "",
        "/",
        "*/*",
        f"{MARK}/json",
        None,
    ],
)
async def test_a_body_of_another_type_gets_415(
    client: httpx.AsyncClient, person: Person, content_type: str | None
) -> None:
    headers = person.headers | ({} if content_type is None else {"Content-Type": content_type})
    answer = await client.post(person.chat_path, content=b'{"message": "hi"}', headers=headers)
    assert error_of(answer, 415)["error_code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=UTF-8",
        'application/json;charset="utf-8"',
    ],
)
async def test_json_in_any_spelling_of_its_type_is_read(
    client: httpx.AsyncClient, person: Person, content_type: str
) -> None:
    headers = person.headers | {"Content-Type": content_type}
    answer = await client.post(person.chat_path, content=b'{"message": "hi"}', headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "x", MARK, ""])
async def test_an_encoded_body_gets_415(
    client: httpx.AsyncClient, person: Person, encoding: str
) -> None:
    answer = await post(client, person, b'{"message": "hi"}', Content_Encoding=encoding)
    assert error_of(answer, 415)["error_code"] == "unsupported_media_type"


async def test_two_content_types_get_415(client: httpx.AsyncClient, person: Person) -> None:
    headers = [*person.headers.items(), *JSON.items(), ("Content-Type", "text/plain")]
    answer = await client.post(person.chat_path, content=b'{"message": "hi"}', headers=headers)
    error_of(answer, 415)


# --- ids in the body and in the path ---


@pytest.mark.parametrize("value", NO_UUID.values(), ids=NO_UUID)
async def test_a_conversation_id_in_any_other_form_gets_400(
    client: httpx.AsyncClient, person: Person, value: object
) -> None:
    raw = json.dumps({"message": "hi", "conversation_id": value}).encode()
    body = error_of(await post(client, person, raw), 400, "DROP", "../", UNKNOWN)
    assert body["details"] == [
        {"field": "conversation_id", "problem": "must be a UUID such as 0199f3a0-…"}
    ]


async def test_a_conversation_id_in_capitals_is_the_same_conversation(
    client: httpx.AsyncClient, person: Person
) -> None:
    conversation = (await person.say(client, "hello")).json()["conversation_id"]
    answer = await person.say(client, "hello", conversation_id=conversation.upper())
    assert answer.json()["conversation_id"] == conversation


async def test_an_unknown_conversation_and_another_users_get_the_same_404(
    client: httpx.AsyncClient, person: Person
) -> None:
    theirs = (await Person().say(client, "hello")).json()["conversation_id"]
    texts = []
    for conversation in (theirs, str(new_id())):
        answer = await person.say(client, "hi", conversation_id=conversation)
        body = error_of(answer, 404)
        assert body["conversation_id"] == conversation
        texts.append(answer.text.replace(conversation, "ID").replace(body["request_id"], "REQUEST"))
    assert texts[0] == texts[1]


async def test_the_path_of_another_user_gets_the_same_403_whether_they_exist_or_not(
    client: httpx.AsyncClient, person: Person
) -> None:
    known, unknown = Person(), Person()
    await known.say(client, "hello")
    texts = []
    for other in (known, unknown):
        for path in (other.chat_path, f"/api/{other.user_id}/tasks/1"):
            method = "POST" if path.endswith("chat") else "GET"
            answer = await client.request(
                method, path, headers=person.headers, json={"message": "hi"}
            )
            body = error_of(answer, 403, other.user_id, person.user_id)
            assert body["error_code"] == "forbidden"
            texts.append(answer.text.replace(body["request_id"], "REQUEST"))
    assert len(set(texts)) == 1


HOSTILE_SEGMENTS = [
    "%00",
    "%ff",
    "%ED%A0%80",
    "%c0%af",
    "%0a",
    "%0d%0aX-Evil:%201",
    "%7f",
    "%c2%85",
    "%",
    "%zz",
    "..",
    "%2e%2e",
    "..%2f",
    "..%2f..%2fetc",
    "%252f",
    "..%5c",
    "a%2fb",
    "%E2%80%AE",
    "' OR '1'='1",
    "{user_id}",
    "x" * 5000,
]


@pytest.mark.parametrize("segment", HOSTILE_SEGMENTS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/{}/chat"),
        ("GET", "/api/{}/tasks"),
        ("GET", "/api/{}/conversations/" + UNKNOWN + "/messages"),
        ("GET", "/api/ME/tasks/{}"),
        ("PATCH", "/api/ME/tasks/{}"),
        ("DELETE", "/api/ME/tasks/{}"),
        ("GET", "/api/ME/conversations/{}"),
        ("PATCH", "/api/ME/conversations/{}"),
        ("DELETE", "/api/ME/conversations/{}"),
        ("GET", "/api/ME/conversations/{}/messages"),
        ("GET", "/api/ME/conversations/{}/turns"),
        ("GET", "/api/ME/conversations/{}/shares"),
        ("POST", "/api/ME/conversations/{}/shares"),
        ("DELETE", "/api/ME/conversations/{}/shares"),
        ("DELETE", "/api/ME/conversations/" + UNKNOWN + "/shares/{}"),
        ("GET", "/share/{}"),
        ("GET", "/api/ME/webhooks/{}"),
        ("PATCH", "/api/ME/webhooks/{}"),
        ("DELETE", "/api/ME/webhooks/{}"),
        ("POST", "/api/ME/webhooks/{}/secret"),
        ("GET", "/api/ME/webhooks/{}/deliveries"),
        ("POST", "/api/ME/webhooks/" + UNKNOWN + "/deliveries/{}/replay"),
        ("GET", "/api/ME/turns/{}"),
        ("POST", "/api/ME/turns/{}/cancel"),
        ("GET", "/{}"),
    ],
)
async def test_a_hostile_path_segment_gets_403_or_404(
    offline_app: RunningApp, method: str, path: str, segment: str
) -> None:
    headers = raw_headers(PROBER.headers | JSON)
    target = path.replace("ME", PROBER.user_id).format(segment).encode()
    answer = await ask(
        offline_app.app,
        method,
        target,
        headers=headers,
        body=BODIES.get(path, b'{"title": "x"}' if method == "PATCH" else b'{"message": "x"}'),
    )
    error_of(answer, 403 if answer.status == 403 else 404)


BODIES = {
    "/api/ME/conversations/{}/shares": b"{}",
    "/api/ME/webhooks/{}": b'{"status": "paused"}',
}

PROBER = Person()
"""One user for many requests that all fail."""


@pytest.mark.parametrize(
    "path",
    [
        "/api/{}/chat/",
        "/api/{}//chat",
        "//api/{}/chat",
        "/api//{}/chat",
        "/api/{}/chat//",
        "/api/{}/tasks/../chat",
        "/api/{}/..%2fchat",
        "/api/{}%2fchat",
        "/api%2f{}/chat",
        "/api/{}/chat%0a",
        "/api/{}/chat%00",
        "/api/{}/chat%20",
        "/api/{}/chat;x=1",
        "/API/{}/chat",
        "/api/{}/Chat",
        "/api/{}/tasks/",
        "/api/{}/tasks/1/",
        "/api/{}/",
        "/api",
        "/api/",
    ],
)
async def test_another_spelling_of_an_address_gets_404_and_never_a_redirect(
    offline_app: RunningApp, path: str
) -> None:
    headers = raw_headers(PROBER.headers | JSON)
    for method in ("POST", "GET"):
        answer = await ask(
            offline_app.app,
            method,
            path.format(PROBER.user_id).encode(),
            headers=headers,
            body=b'{"message": "hi"}',
        )
        error_of(answer, 404, PROBER.user_id)
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    "task_id",
    [
        str(2**31),
        str(2**63),
        str(2**64),
        "9" * 5000,
        "1_000",
        "+1",
        "1.0",
        "1e0",
        "01",
        "0",
        "-1",
        "0x1",
        "%201",
        "1%20",
        "1%0a",
        "\u0661",
        "\u00b9",
        "true",
        "null",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_task_id_that_is_no_task_gets_404(
    client: httpx.AsyncClient, method: str, task_id: str
) -> None:
    person = PROBER
    made = await client.post(
        f"/api/{person.user_id}/tasks", json={"title": "First"}, headers=person.headers
    )
    assert made.status_code == 201
    answer = await client.request(
        method,
        f"/api/{person.user_id}/tasks/{task_id}",
        headers=person.headers | JSON,
        content=b'{"title": "changed"}' if method == "PATCH" else None,
    )
    assert error_of(answer, 404)["error_code"] == "not_found"


@pytest.mark.parametrize("field", ["title", "description"])
@pytest.mark.parametrize(
    "value",
    ["\x00", "\ud800", "x" * 2001, 7, None, ["x"]],
    ids=["NUL", "surrogate", "long", "int", "null", "list"],
)
async def test_a_task_that_cannot_be_kept_gets_400(
    client: httpx.AsyncClient, person: Person, field: str, value: object
) -> None:
    answer = await client.post(
        f"/api/{person.user_id}/tasks",
        content=json.dumps({"title": MARK, field: value}),
        headers=person.headers | JSON,
    )
    assert error_of(answer, 400, "xxxx")["details"]


@pytest.mark.parametrize("value", [b"{}", b'{"title": null}', b'{"completed": 1}', b'{"id": 2}'])
async def test_a_change_that_changes_nothing_known_gets_400(
    client: httpx.AsyncClient, person: Person, value: bytes
) -> None:
    path = f"/api/{person.user_id}/tasks/1"
    error_of(await client.patch(path, content=value, headers=person.headers | JSON), 400)


@pytest.mark.parametrize(
    ("where", "query"),
    [
        ("tasks", "limit=0"),
        ("tasks", "limit=201"),
        ("tasks", f"limit={MARK}"),
        ("tasks", "limit=" + "9" * 5000),
        ("tasks", "limit="),
        ("tasks", f"status={MARK}"),
        ("tasks", f"after={MARK}"),
        ("tasks", "after="),
        ("tasks", "after=%00"),
        ("tasks", "after=%ff"),
        ("tasks", "after=W10"),
        ("tasks", "after=Wy0xXQ"),
        ("tasks", "after=WzIxNDc0ODM2NDhd"),
        ("tasks", "after=eyIxIjoxfQ"),
        ("tasks", "after=" + "W" * 5000),
        ("conversations", "after="),
        ("conversations", "after=WyJhIiwiYiJd"),
        ("conversations", "after=WyJcdWQ4MDAiLCJcdWQ4MDAiXQ"),
        ("conversations", "status=gone"),
        ("conversations", f"archived={MARK}"),
        ("conversations", "archived=1"),
        (f"conversations/{UNKNOWN}/messages", "limit=-1"),
        (f"conversations/{UNKNOWN}/messages", "before=END"),
        (f"conversations/{UNKNOWN}/messages", "after=end"),
        (f"conversations/{UNKNOWN}/messages", "after=WzEsMF0"),
        (f"conversations/{UNKNOWN}/turns", f"status={MARK}"),
        (f"conversations/{UNKNOWN}/turns", "status=unfinished"),
        (f"conversations/{UNKNOWN}/turns", f"after={MARK}"),
        (f"conversations/{UNKNOWN}/turns", "after=WzEsMCwwXQ"),
        (f"conversations/{UNKNOWN}/turns", "limit=0"),
        (f"conversations/{UNKNOWN}/shares", "limit=0"),
        (f"conversations/{UNKNOWN}/shares", f"after={MARK}"),
        (f"conversations/{UNKNOWN}/shares", "after=WzEsMF0"),
        (f"conversations/{UNKNOWN}/shares", "after=WyJhIl0"),
        ("webhooks", f"after={MARK}"),
        ("webhooks", "limit=0"),
        (f"webhooks/{UNKNOWN}/deliveries", f"status={MARK}"),
        (f"webhooks/{UNKNOWN}/deliveries", "after=WyJhIl0"),
        ("usage", f"from={MARK}"),
        ("usage", "to=%00"),
        ("usage", "to=%ff"),
        ("usage", "from=" + "9" * 5000),
    ],
)
async def test_a_query_that_is_not_the_contract_gets_400(
    client: httpx.AsyncClient, person: Person, where: str, query: str
) -> None:
    answer = await client.get(f"/api/{person.user_id}/{where}?{query}", headers=person.headers)
    assert error_of(answer, 400, "WWWW", "9999")["details"]


@pytest.mark.parametrize("value", ["", "none", f"{MARK}", "ALL"])
async def test_an_unknown_form_of_the_answer_gets_400(
    client: httpx.AsyncClient, superuser: AsyncEngine, person: Person, value: str
) -> None:
    answer = await person.say(client, "hello", params={"messages": value})
    assert error_of(answer, 400)["details"][0]["field"] == "messages"
    assert await stored_messages(superuser, person) == []


async def test_an_address_of_more_than_16_kib_gets_400(
    client: httpx.AsyncClient, person: Person
) -> None:
    for target in (f"tasks?{MARK}={'x' * 17_000}", "x" * 17_000):
        answer = await client.get(f"/api/{person.user_id}/{target}", headers=person.headers)
        error_of(answer, 400, "xxxx")


# --- methods and headers ---


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"]
)
async def test_chat_takes_no_other_method_than_post(
    client: httpx.AsyncClient, person: Person, method: str
) -> None:
    answer = await client.request(method, person.chat_path, headers=person.headers)
    assert answer.headers["allow"] == "POST"
    if method == "HEAD":
        assert (answer.status_code, answer.content) == (405, b"")
    else:
        assert error_of(answer, 405)["error_code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"k" * 256,
        "schlüssel".encode(),
        "schlüssel".encode("latin-1"),
        b"\xff",
        b"a\tb",
        b"\x7f",
    ],
    ids=["empty", "256", "UTF-8", "Latin-1", "FF", "tab", "DEL"],
)
async def test_an_idempotency_key_of_another_form_gets_400(
    client: httpx.AsyncClient, superuser: AsyncEngine, person: Person, key: bytes
) -> None:
    headers: Any = [*person.headers.items(), (b"Idempotency-Key", key)]
    answer = await client.post(person.chat_path, json={"message": "hi"}, headers=headers)
    [detail] = error_of(answer, 400, "kkkk")["details"]
    assert detail["field"] == "header.Idempotency-Key"
    assert await stored_messages(superuser, person) == []


async def test_two_idempotency_keys_get_400(client: httpx.AsyncClient, person: Person) -> None:
    headers = [*person.headers.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    error_of(await client.post(person.chat_path, json={"message": "hi"}, headers=headers), 400)


async def test_a_key_of_255_characters_is_taken(client: httpx.AsyncClient, person: Person) -> None:
    assert (await person.say(client, "hello", key=" ~" + "k" * 253)).status_code == 200


async def test_a_key_that_comes_with_another_body_gets_422(
    client: httpx.AsyncClient, superuser: AsyncEngine, person: Person
) -> None:
    conversation = (await person.say(client, "hello", key="once")).json()["conversation_id"]
    for message, id_ in ((MARK, None), ("hello", conversation)):
        answer = await person.say(client, message, conversation_id=id_, key="once")
        assert error_of(answer, 422, "once")["error_code"] == "idempotency_mismatch"
    assert await stored_messages(superuser, person) == ["hello"]


@pytest.mark.parametrize(
    "authorization",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        [f"Bearer {MARK}"],
        ["Basic dXNlcjpwYXNz"],
        ["Digest x"],
        ["GOOD", "GOOD"],
        ["GOOD", "Basic dXNlcjpwYXNz"],
        ["GOOD GOOD"],
        ["Bearer\xa0x"],
        ["Bearer \xff\xfe"],
    ],
)
async def test_no_authorization_or_another_or_two_get_401(
    client: httpx.AsyncClient, person: Person, authorization: list[str]
) -> None:
    good = person.headers["Authorization"]
    headers: Any = [
        (b"Authorization", value.replace("GOOD", good).encode("latin-1")) for value in authorization
    ]
    answer = await client.post(person.chat_path, json={"message": "hi"}, headers=headers)
    body = error_of(answer, 401, good.removeprefix("Bearer "), person.user_id)
    assert body["error_code"] == "invalid_auth"
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_more_than_100_headers_get_431(client: httpx.AsyncClient, person: Person) -> None:
    headers = [*person.headers.items(), *[(f"X-{i}", MARK) for i in range(100)]]
    answer = await client.post(person.chat_path, json={"message": "hi"}, headers=headers)
    assert error_of(answer, 431)["error_code"] == "headers_too_large"
    assert answer.headers["connection"] == "close"


async def test_more_than_16_kib_of_headers_get_431(
    client: httpx.AsyncClient, person: Person
) -> None:
    headers = person.headers | {"X-Long": MARK + "x" * 16_384}
    answer = await client.post(person.chat_path, json={"message": "hi"}, headers=headers)
    assert error_of(answer, 431, "xxxx")["error_code"] == "headers_too_large"


async def test_a_length_beside_a_transfer_encoding_gets_400(
    client: httpx.AsyncClient, person: Person
) -> None:
    answer = await post(
        client, person, b'{"message": "hi"}', Content_Length="17", Transfer_Encoding="chunked"
    )
    error_of(answer, 400)


# --- the order of checks ---


@pytest.mark.parametrize(
    ("status", "token", "own_path", "content_type", "raw"),
    [
        (401, False, False, "text/plain", b"x" * 70_000),
        (401, False, True, "application/json", b"{"),
        (403, True, False, "text/plain", b"x" * 70_000),
        (403, True, False, "application/json", b"{"),
        (415, True, True, "text/plain", b"x" * 70_000),
        (413, True, True, "application/json", b"x" * 70_000),
        (400, True, True, "application/json", b"{"),
        (
            400,
            True,
            True,
            "application/json",
            b'{"message": 1, "conversation_id": "%s"}' % UNKNOWN.encode(),
        ),
        (
            404,
            True,
            True,
            "application/json",
            b'{"message": "a", "conversation_id": "%s"}' % UNKNOWN.encode(),
        ),
    ],
)
async def test_who_asks_is_checked_first_then_the_body_and_last_what_exists(
    client: httpx.AsyncClient,
    person: Person,
    status: int,
    token: bool,
    own_path: bool,
    content_type: str,
    raw: bytes,
) -> None:
    headers = {"Content-Type": content_type} | (person.headers if token else {})
    path = (person if own_path else Person()).chat_path
    error_of(await client.post(path, content=raw, headers=headers), status)


@pytest.mark.parametrize(
    ("status", "content_type", "raw"),
    [
        (415, "text/plain", b"{"),
        (413, "application/json", b" " * 70_000),
        (400, "application/json", b"{"),
        (400, "application/json", b'{"title": 7}'),
        (404, "application/json", b'{"title": "x"}'),
    ],
)
@pytest.mark.parametrize(
    "missing",
    ["tasks/404", "tasks/none", f"conversations/{UNKNOWN}", "conversations/none"],
)
async def test_a_bad_change_of_what_is_missing_is_said_to_be_bad(
    client: httpx.AsyncClient,
    person: Person,
    status: int,
    content_type: str,
    raw: bytes,
    missing: str,
) -> None:
    headers = person.headers | {"Content-Type": content_type}
    path = f"/api/{person.user_id}/{missing}"
    error_of(await client.patch(path, content=raw, headers=headers), status)


async def test_who_asks_is_checked_before_which_form_they_want(
    client: httpx.AsyncClient, person: Person
) -> None:
    headers = {"Accept": "text/html"}
    path = f"/api/{person.user_id}/tasks"
    error_of(await client.get(path, headers=headers), 401)
    error_of(await client.get(path, headers=headers | Person().headers), 403)
    error_of(await client.get(path, headers=headers | person.headers), 406)


# --- whatever else ---


FUZZER = Person()

HEADER_NAMES = [
    b"accept",
    b"accept-encoding",
    b"authorization",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"cookie",
    b"expect",
    b"host",
    b"idempotency-key",
    b"if-none-match",
    b"last-event-id",
    b"origin",
    b"range",
    b"te",
    b"traceparent",
    b"transfer-encoding",
    b"upgrade",
    b"x-forwarded-for",
    b"x-http-method-override",
    b"x-request-id",
]

hostile_text = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["\x00", "\u202e", UNKNOWN, "0", "-1", str(2**63), "null", "9" * 400, "'\"", "%s"]
    ),
)
hostile_bytes = st.one_of(
    st.binary(max_size=40),
    hostile_text.map(lambda value: value.encode("utf-8", "surrogatepass")),
)
hostile_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | hostile_text,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "message",
                    "conversation_id",
                    "title",
                    "description",
                    "completed",
                    "status",
                    "archived",
                ]
            )
            | hostile_text,
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)
hostile_body = st.one_of(
    st.binary(max_size=200),
    hostile_json.map(lambda value: json.dumps(value).encode()),
    hostile_json.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-16")),
    st.builds(
        lambda value, cut, junk: json.dumps(value).encode()[:cut] + junk,
        hostile_json,
        st.integers(0, 60),
        st.binary(max_size=4),
    ),
    st.fixed_dictionaries(
        {"message": hostile_text},
        optional={"conversation_id": hostile_text | st.none(), "title": hostile_text},
    ).map(lambda value: json.dumps(value).encode()),
)


@given(data=st.data())
@hypothesis_settings(
    # The same ones each time; `make hostile` sends more.
    max_examples=int(os.environ.get("HOSTILE_EXAMPLES", "300")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
async def test_nothing_that_is_sent_to_any_route_gets_a_5xx(
    offline_app: RunningApp, data: st.DataObject
) -> None:
    app = offline_app.app
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    path = data.draw(st.sampled_from(sorted(paths)))
    operations = sorted(method.upper() for method in paths[path])
    method = data.draw(
        st.sampled_from(operations) | st.sampled_from(["GET", "HEAD", "OPTIONS", "PUT", "X"])
    )
    own = data.draw(st.sampled_from([True, True, True, False]))
    segments = []
    for segment in path.split("/"):
        if segment == "{user_id}" and own:
            segments.append(FUZZER.user_id)
        elif segment.startswith("{"):
            raw = data.draw(hostile_bytes)
            segments.append(data.draw(st.sampled_from([quote(raw, safe=""), quote(raw)])))
        else:
            segments.append(segment)
    names = [
        parameter["name"]
        for operation in paths[path].values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query"
    ]
    query = "&".join(
        f"{quote(name)}={quote(value)}"
        for name, value in data.draw(
            st.lists(
                st.tuples(st.sampled_from([*names, "x"]) | st.text(max_size=5), hostile_bytes),
                max_size=3,
            )
        )
    )
    headers = data.draw(
        st.lists(st.tuples(st.sampled_from(HEADER_NAMES), hostile_bytes), max_size=2)
    )
    if data.draw(st.sampled_from([True, True, True, False])):
        headers.append((b"authorization", FUZZER.headers["Authorization"].encode()))
    if data.draw(st.sampled_from([True, True, True, False])):
        headers.append((b"content-type", b"application/json"))
    answer = await ask(
        app,
        method,
        f"{'/'.join(segments)}?{query}".encode(),
        headers=headers,
        body=data.draw(hostile_body),
    )
    assert answer.status < 500, answer.content
    if answer.status >= 400:
        if method != "HEAD":
            body = answer.json()
            told = body["error"]["data"] if "jsonrpc" in body else body
            if path.startswith("/v1/"):
                told = {"error_code": body["error"]["code"]}
            assert told.get("error_code", told.get("title")) is not None
        assert answer.headers["x-request-id"]
        assert answer.status in CODES
