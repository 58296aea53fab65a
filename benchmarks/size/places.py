"""Users with little and with much, and what is read of it: pages and exports."""

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.client import Client
from benchmarks.copies import copied_id, copy_conversation
from benchmarks.stage import Stage, connected

TALKED = 10
"""Turns of the conversation that is really talked; longer ones repeat it."""

PAGE = 50
"""Rows of a page: what a client gets that asks for no other number."""

WALKED = 200
"""Rows of a page on the way to the middle and to the end of a list."""

CHUNK = 65_536
FORMATS = ("json", "jsonl", "markdown")


class Reader:
    """One user on one kept-alive connection."""

    def __init__(self, port: int, user: str, token: str) -> None:
        self.path = f"/api/{user}"
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def ask(self, path: str, *, body: Mapping[str, Any] | None = None) -> http.client.HTTPResponse:
        """Ask for something, which has to be there; the body is still to be read."""
        method, raw, headers = "GET", None, self._headers
        if body is not None:
            method, raw = "POST", json.dumps(body)
            headers = {**headers, "Content-Type": "application/json"}
        try:
            self._connection.request(method, path, raw, headers)
            answer = self._connection.getresponse()
        except (http.client.HTTPException, ConnectionError):
            # Kept open for longer than the server keeps one that is idle.
            self._connection.close()
            self._connection.request(method, path, raw, headers)
            answer = self._connection.getresponse()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{path}: {answer.status} {answer.read()!r}")
        return answer

    def read(self, path: str, *, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON of an answer."""
        return json.loads(self.ask(path, body=body).read())

    def drain(self, path: str) -> int:
        """Read an answer and keep none of it; its bytes."""
        answer, size = self.ask(path), 0
        while chunk := answer.read(CHUNK):
            size += len(chunk)
        return size

    def cursors(self, path: str, rows: int) -> tuple[str, str]:
        """Cursors to the pages in the middle and at the end of a list of so many rows."""
        found, cursor = [], ""
        for number in range(1, rows // WALKED + 1):
            page = self.read(f"{path}?limit={WALKED}{cursor}")
            if page["next_cursor"] is None:
                break
            cursor = f"&after={page['next_cursor']}"
            found.append((abs(2 * number * WALKED - rows), cursor))
        if not found:
            # It has one page of that length: the middle is behind half of it.
            cursor = f"&after={self.read(f'{path}?limit={rows // 2}')['next_cursor']}"
            return cursor, cursor
        return min(found)[1], cursor


@dataclass(frozen=True)
class Place:
    """What is read: a user, one of their conversations, and a link to it.

    Attributes:
        name: Its size, in words.
        reader: The user.
        conversations: How many there are.
        messages: Of the conversation.
        conversation: Its id.
        turns: Of all conversations together.
        link: The token of a link to the conversation.
    """

    name: str
    reader: Reader
    conversations: int
    messages: int
    conversation: str
    turns: int
    link: str = field(default="", repr=False)

    def pages(self) -> Iterator[tuple[str, str]]:
        """What is read page by page: the name of each page, and its path.

        Searches have figures of their own: `make bench-search`.
        """
        conversations = f"{self.reader.path}/conversations"
        middle, end = self.reader.cursors(conversations, self.conversations)
        yield "conversations, first page", f"{conversations}?limit={PAGE}"
        yield "conversations, middle", f"{conversations}?limit={PAGE}{middle}"
        yield "conversations, last page", f"{conversations}?limit={PAGE}{end}"
        for name, path in (
            ("messages", f"{conversations}/{self.conversation}/messages"),
            ("a link", f"/share/{self.link}"),
        ):
            middle, _ = self.reader.cursors(path, self.messages)
            yield f"{name}, oldest page", f"{path}?limit={PAGE}"
            yield f"{name}, middle", f"{path}?limit={PAGE}{middle}"
            yield f"{name}, newest page", f"{path}?limit={PAGE}&before=end"

    def exports(self) -> Iterator[tuple[str, str, int]]:
        """What is exported: its name, its path, and how many turns that is."""
        one = f"{self.reader.path}/conversations/{self.conversation}/export"
        for form in FORMATS:
            yield f"conversation, {form}", f"{one}?format={form}", self.messages // 2
            yield f"user, {form}", f"{self.reader.path}/export?format={form}", self.turns


async def made(stage: Stage, port: int, url: str, messages: int, conversations: int) -> Place:
    """A user with so many conversations of one turn, and one of so many messages."""
    name = f"user-{conversations}"
    client = await Client.connect(port, name, stage.token(name))
    short = (await client.say())["conversation_id"]
    talked: Any = None
    for _ in range(TALKED):
        talked = (await client.say(talked))["conversation_id"]
    client.close()
    repeats = max(1, messages // (2 * TALKED))
    async with connected(url) as database:
        # The three that are talked and made long are among them.
        await copy_conversation(database, short, conversations - 3)
        salt = await copy_conversation(database, talked, 1, repeats=repeats)
    long = copied_id(talked, salt, 0)
    reader = Reader(port, name, stage.token(name))
    path = f"{reader.path}/conversations/{long}/shares"
    link = reader.read(path, body={"with_tool_calls": True})["token"]
    turns = (conversations - 2) + TALKED + TALKED * repeats
    words = f"{2 * TALKED * repeats:,} messages, {conversations:,} conversations"
    return Place(words, reader, conversations, 2 * TALKED * repeats, long, turns, link)
