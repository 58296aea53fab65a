"""What people send who mean harm, or whose client is broken: one row each, for whatever way in."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tests.answers import MARK
from tests.hostile.ways import SAID, TEXTS, Way

M = MARK.encode()


class Kind(StrEnum):
    """What of a request a row is about; it goes to every way in that has such a thing."""

    BODY = "body"
    TEXT = "text"
    MESSAGE = "message"
    ID = "id"
    OWNER = "owner"
    TOKEN = "token"
    HEADERS = "headers"
    KEY = "key"
    ADDRESS = "address"
    METHOD = "method"

    def fits(self, way: Way) -> bool:
        """Whether a way in has it."""
        return {
            Kind.BODY: way.has_body,
            Kind.TEXT: way.name in TEXTS,
            Kind.MESSAGE: way.name in SAID,
            Kind.ID: bool(way.ids),
            Kind.OWNER: "{user_id}" in way.path,
            Kind.TOKEN: way.is_secured,
            Kind.KEY: "Idempotency-Key" in way.parameters,
            Kind.HEADERS: True,
            Kind.ADDRESS: True,
            Kind.METHOD: True,
        }[self]


FRAME = "error frame"

ACCEPTED = 200
"""In place of a refusal: what is sent is no harm at that way in."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        words: What is sent, in words for the docs.
        kind: What of a request it is about.
        status: The answer's status.
        sent: What is sent, by a name for each spelling: of a body its bytes or what makes them
            of a way in; of an id, an address or a token that text; of headers the headers.
        except_for: Ways in that answer otherwise, with their status and why.
        socket: What a WebSocket does about the same: an error frame, unless it says otherwise.
    """

    words: str
    kind: Kind
    status: int
    sent: Mapping[str, Any]
    except_for: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    socket: str = FRAME

    def status_at(self, way: Way) -> int:
        """The status with which a way in answers."""
        return self.except_for.get(way.name, (self.status, ""))[0]


Maker = Callable[[Way], bytes]


def body(way: Way) -> bytes:
    return json.dumps(way.good).encode()


def beside(raw: bytes) -> Maker:
    """A good body, and one more member."""
    return lambda way: body(way)[:-1] + b", " + raw + b"}"


def first_is(raw: bytes) -> Maker:
    """A good body whose first member is this JSON."""

    def made(way: Way) -> bytes:
        good = way.good
        good[next(iter(good))] = "HERE"
        return json.dumps(good).encode().replace(b'"HERE"', raw)

    return made


def twice(way: Way) -> bytes:
    name = next(iter(way.good))
    return body(way)[:-1] + b', "%s": %s}' % (name.encode(), json.dumps(way.good[name]).encode())


LOOSE = {
    "POST /api/{user_id}/ui/chat": (ACCEPTED, "what its clients send besides is theirs"),
    "POST /api/{user_id}/ag-ui": (ACCEPTED, "what its clients send besides is theirs"),
    "POST /mcp": (ACCEPTED, "what its clients send besides is theirs"),
}
"""Ways in for clients whose next version sends what this one does not."""

STREAM = "GET /api/{user_id}/ui/chat/{chat_id}/stream"
NOTHING = (204, "its clients take 204 for: nothing is under way")
WRONG = (401, "nothing is kept of it: it is as wrong as any other")

ROWS = [
    Row(
        "a body that is empty, cut off, followed by junk, with comments, in single quotes",
        Kind.BODY,
        400,
        {
            "empty": lambda _: b"",
            "cut off": lambda way: body(way)[:-1],
            "junk behind": lambda way: body(way) + b" " + M,
            "a comment": lambda way: body(way)[:-1] + b" /* %s */}" % M,
            "single quotes": lambda way: body(way).replace(b'"', b"'"),
        },
    ),
    Row(
        "an array, null, a text or a number in place of an object",
        Kind.BODY,
        400,
        {
            "an array": lambda way: b"[" + body(way) + b"]",
            "null": lambda _: b"null",
            "a text": lambda _: b'"%s"' % M,
            "a number": lambda _: b"1",
        },
    ),
    Row(
        "NaN, Infinity, 1e999",
        Kind.BODY,
        400,
        {name: first_is(name.encode()) for name in ("NaN", "-Infinity", "1e999")},
    ),
    Row(
        "an unpaired surrogate in a text, or in the name of a member",
        Kind.BODY,
        400,
        {
            "a text": first_is(rb'"zebra-7c1f \ud800"'),
            "a name": beside(rb'"zebra-7c1f \udc00": 1'),
        },
    ),
    Row(
        "bytes that no JSON has: FF FE, an overlong form, an encoded surrogate, a raw NUL",
        Kind.BODY,
        400,
        {
            name: first_is(b'"%s%s"' % (M, raw))
            for name, raw in (
                ("FF FE", b"\xff\xfe"),
                ("overlong", b"\xc0\xaf"),
                ("a surrogate", b"\xed\xa0\x80"),
                ("a raw NUL", b"\x00"),
            )
        },
    ),
    Row(
        "a NUL in a text",
        Kind.TEXT,
        400,
        {"escaped": rb'"zebra-7c1f \u0000"'},
        dict.fromkeys(
            ("POST /api/auth/refresh", "DELETE /api/auth/me", "POST /api/auth/password"), WRONG
        ),
    ),
    Row(
        "UTF-16, or a byte order mark",
        Kind.BODY,
        400,
        {
            "UTF-16": lambda way: body(way).decode().encode("utf-16"),
            "a mark": lambda way: b"\xef\xbb\xbf" + body(way),
        },
    ),
    Row(
        "5,000 levels of nesting, a number of 5,000 digits",
        Kind.BODY,
        400,
        {
            "arrays": first_is(b"[" * 5000 + b"]" * 5000),
            "objects": first_is(b'{"a":' * 5000 + b"1" + b"}" * 5000),
            "digits": first_is(b"7" * 5000),
        },
    ),
    Row("a member twice", Kind.BODY, 400, {"as it is": twice}),
    Row(
        "a member that is not part of the contract, such as `user_id` or `role`",
        Kind.BODY,
        400,
        {
            "user_id": beside(b'"user_id": "%s"' % M),
            "role": beside(b'"role": "system"'),
            "a prototype": beside(b'"__proto__": {"%s": 1}' % M),
        },
        LOOSE,
    ),
    Row(
        "a number, a truth, null, a list or an object where a text belongs",
        Kind.TEXT,
        400,
        {
            "a number": b"7",
            "a truth": b"true",
            "a list": b'[["%s"]]' % M,
            "an object": b'{"%s": "%s"}' % (M, M),
        },
    ),
    Row(
        "no member at all",
        Kind.BODY,
        400,
        {"{}": lambda _: b"{}"},
        {
            "POST /api/{user_id}/conversations/{conversation_id}/shares": (
                ACCEPTED,
                "all that a link can be made with may be left out",
            )
        },
    ),
    Row(
        "a message of spaces, or of characters that nobody sees",
        Kind.MESSAGE,
        400,
        {
            "empty": b'""',
            "spaces": rb'"  \n\t\u00a0\u3000 "',
            "unseen": rb'"\u200b\u200d\u2060\ufeff\u202e\u3164\u2800"',
        },
    ),
    Row(
        "a message of 5,001 characters",
        Kind.MESSAGE,
        400,
        {"letters": b'"' + M + b"x" * 4991 + b'"', "emoji": '"{}"'.format("🦓" * 5001).encode()},
    ),
    Row(
        "a body over its limit, with a Content-Length or in chunks without end",
        Kind.BODY,
        413,
        {"one byte over": lambda way: body(way).ljust(way.body_bytes_max + 1)},
        socket="closed with 1009",
    ),
    Row(
        "a body that is no plain JSON: text/plain, a form, no type, gzip, another charset",
        Kind.BODY,
        415,
        {
            "text": {"Content-Type": "text/plain"},
            "a form": {"Content-Type": "application/x-www-form-urlencoded"},
            "files": {"Content-Type": f"multipart/form-data; boundary={MARK}"},
            "none": {},
            "a charset": {"Content-Type": "application/json; charset=utf-16"},
            "gzip": {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        },
        socket="closed with 1003",
    ),
    Row(
        "an id of another spelling (`urn:uuid:…`, braces, `+1`, `1.0`, 2⁶³), or of nothing",
        Kind.ID,
        404,
        {
            name: name
            for name in (
                "urn:uuid:0199f3a0-0000-7000-8000-00000000dead",
                "{0199f3a0-0000-7000-8000-00000000dead}",
                "0199f3a0-0000-7000-8000-00000000dead",
                "0199f3a00000700080000000000dead0",
                "+1",
                "1.0",
                "1_000",
                str(2**63),
                MARK,
            )
        },
        {STREAM: NOTHING},
        socket="closed with 4004",
    ),
    Row(
        "`%00`, `%ff`, a surrogate, a line end, `..%2f` in an address",
        Kind.ID,
        404,
        {name: name for name in ("%00", "%ff", "%ED%A0%80", "%0d%0aX-A:%201", "..%2f", "%2e%2e")},
        {STREAM: NOTHING},
        socket="closed with 4004",
    ),
    Row(
        "an address with `//`, a slash behind it, another case, an escaped slash",
        Kind.ADDRESS,
        404,
        {
            "a slash behind": "{}/",
            "two slashes": "/{}",
            "an escaped slash": "{}%2f",
            "a NUL behind": "{}%00",
            "a line end behind": "{}%0a",
        },
        socket="closed with 4004",
    ),
    Row(
        "the address of another user, who exists or does not",
        Kind.OWNER,
        403,
        {name: name for name in ("known", "unknown", "%2e", MARK)},
        socket="–",
    ),
    Row(
        "a method that the address does not take",
        Kind.METHOD,
        405,
        {name: name for name in ("PUT", "TRACE", "OPTIONS", "ANY")},
        socket="400",
    ),
    Row(
        "an Idempotency-Key that is empty, of 256 characters, or not ASCII",
        Kind.KEY,
        400,
        {"empty": b"", "long": b"k" * 256, "not ASCII": "schlüssel".encode(), "DEL": b"\x7f"},
    ),
    Row(
        "no token, another scheme, two tokens",
        Kind.TOKEN,
        401,
        {
            "none": [],
            "Basic": ["Basic dXNlcjpwYXNz"],
            "two": ["GOOD", "GOOD"],
            "junk": [f"Bearer {MARK}"],
        },
        socket="closed with 4001",
    ),
    Row(
        "a token that is not signed, signed with another secret, expired, or of nobody",
        Kind.TOKEN,
        401,
        {
            "unsigned": ["Bearer UNSIGNED"],
            "stripped": ["Bearer STRIPPED"],
            "another secret": ["Bearer FORGED"],
            "expired": ["Bearer EXPIRED"],
            "of nobody": ["Bearer NOBODYS"],
            "over 8 KiB": ["Bearer LONG"],
        },
        socket="closed with 4001",
    ),
    Row(
        "a Content-Length beside a Transfer-Encoding",
        Kind.HEADERS,
        400,
        {"both": {"Content-Length": "2", "Transfer-Encoding": "chunked"}},
        socket="400",
    ),
    Row(
        "over 100 headers, or 16 KiB of them",
        Kind.HEADERS,
        431,
        {
            "many": {f"X-{number}": MARK for number in range(101)},
            "long": {"X-Long": MARK + "x" * 16_384},
        },
        socket="431",
    ),
    Row(
        "an address of more than 16 KiB",
        Kind.ADDRESS,
        400,
        {"a query": "{}?" + MARK + "x" * 16_384},
        socket="400",
    ),
]
