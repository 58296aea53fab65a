"""Requests to every operation of the OpenAPI document, most of them with one thing wrong.

What the service answered feeds what it is asked next: ids that it gave stand in later paths.
"""

import json
import random
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from tests.fuzz.mutating import changed_value, hostile_text, mutated

METHODS: Final = ("get", "post", "put", "patch", "delete")

KNOWN_MAX: Final = 40
"""Ids of one kind that are remembered."""

RARELY: Final = {"/api/{user_id}": 0.1, "/api/auth/me": 0.1}
"""Where everything of a user's is deleted: what comes behind it finds less."""

HEADERS: Final = (
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Authorization",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "Expect",
    "Host",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Origin",
    "Range",
    "TE",
    "Time-Zone",
    "Traceparent",
    "Transfer-Encoding",
    "Upgrade",
    "X-Forwarded-For",
    "X-HTTP-Method-Override",
    "X-Request-ID",
)


WRONG: Final = (
    *["nothing"] * 3,
    *["body"] * 2,
    *("bytes", "path", "query", "header", "method", "token"),
)
"""What may be wrong with a request, by frequency."""


@dataclass(frozen=True)
class Drawn:
    """One request.

    Attributes:
        wrong: What is wrong with it; `nothing` where it is as the document has it.
        path: Of the document.
    """

    wrong: str
    path: str
    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def __str__(self) -> str:
        shown = [line for line in self.headers if line[0] != b"authorization"]
        return f"{self.method} {self.target!r} {shown!r} {self.body!r} ({self.wrong})"


@dataclass
class Known:
    """Ids that a user was told, by what they are of."""

    ids: defaultdict[str, deque[str]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=KNOWN_MAX))
    )

    def learn(self, value: Any, of: str) -> None:
        """Remember the ids in an answer.

        Args:
            value: A part of it.
            of: What it is one of, as addresses call them: `tasks`.
        """
        if isinstance(value, list):
            for one in value[:KNOWN_MAX]:
                self.learn(one, of)
        if not isinstance(value, dict):
            return
        for name, inner in value.items():
            if isinstance(inner, dict | list):
                self.learn(inner, of if name == "data" else name)
            elif inner is not None and (name == "id" or name.endswith(("_id", "token", "cursor"))):
                kind = of if name == "id" else name.removesuffix("_id") + "s"
                if str(inner) not in self.ids[kind]:
                    self.ids[kind].append(str(inner))

    def draw(self, kind: str, dice: random.Random) -> str:
        """An id of this kind, or of any, or none that was ever told."""
        chance = dice.random()
        if chance < 0.7 and self.ids.get(kind):
            return dice.choice(self.ids[kind])
        if chance < 0.85 and self.ids:
            return dice.choice(self.ids[dice.choice(list(self.ids))] or ["1"])
        return hostile_text(dice)


class Drawer:
    """Draws requests.

    Args:
        document: The OpenAPI document.
        dice: From which everything is drawn.
    """

    def __init__(self, document: Mapping[str, Any], dice: random.Random) -> None:
        self.document = document
        self.dice = dice
        self.operations = [
            (path, method, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if method in METHODS
        ]

    def draw(self, user_id: str, authorization: str, known: Known) -> Drawn:
        """One request of a user's."""
        dice = self.dice
        path, method, operation = dice.choice(self.operations)
        if dice.random() > RARELY.get(path, 1) and method == "delete":
            path, method, operation = dice.choice(self.operations)
        wrong = dice.choice(WRONG)
        target = self._path(path, user_id, known, wrong)
        query = self._query(operation, known, wrong)
        headers = {"Authorization": authorization} if wrong != "token" else {}
        body = b""
        content = operation.get("requestBody", {}).get("content", {})
        if content:
            kind = dice.choice(list(content))
            headers["Content-Type"] = kind
            body = self._body(content[kind], kind, known, wrong)
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header" and dice.random() < 0.1:
                headers[parameter["name"]] = hostile_text(dice)
        if dice.random() < 0.1:
            headers["Accept"] = dice.choice(("text/event-stream", "application/problem+json"))
        lines = [(n.lower().encode(), v.encode("utf-8", "replace")) for n, v in headers.items()]
        if wrong == "header":
            for _ in range(dice.randint(1, 3)):
                value = mutated(hostile_text(dice).encode("utf-8", "surrogatepass"), dice)
                # A server lets neither through.
                value = value.translate(None, b"\r\n\x00").strip()
                lines.append((dice.choice(HEADERS).lower().encode(), value))
        if wrong == "token" and dice.random() < 0.8:
            lines.append((b"authorization", mutated(authorization.encode(), dice)))
        if wrong == "method":
            method = dice.choice((*METHODS, "head", "options", "trace", "x"))
        return Drawn(wrong, path, method.upper(), target + query, lines, body)

    def _path(self, path: str, user_id: str, known: Known, wrong: str) -> bytes:
        dice = self.dice
        segments: list[str] = []
        for segment in path.split("/"):
            if segment == "{user_id}" and not (wrong == "path" and dice.random() < 0.3):
                segments.append(quote(user_id, safe=""))
            elif segment.startswith("{"):
                id_ = known.draw(segments[-1], dice)
                segments.append(quote(id_.encode("utf-8", "surrogatepass"), safe=""))
            else:
                segments.append(segment)
        target = "/".join(segments).encode()
        return mutated(target, dice).translate(None, b" ?#\r\n\x00") if wrong == "path" else target

    def _query(self, operation: Mapping[str, Any], known: Known, wrong: str) -> bytes:
        dice = self.dice
        drawn: list[tuple[str, str]] = []
        for parameter in operation.get("parameters", ()):
            if parameter["in"] != "query" or dice.random() < 0.5:
                continue
            value = self.value(parameter["schema"], known)
            drawn.append((parameter["name"], "" if value is None else str(value)))
        if wrong == "query":
            at = dice.randrange(len(drawn) + 1)
            name = drawn[at][0] if at < len(drawn) else hostile_text(dice)
            drawn.insert(at, (name, hostile_text(dice)))
        pairs = [
            "=".join(quote(part.encode("utf-8", "surrogatepass")) for part in pair)
            for pair in drawn
        ]
        return b"?" + "&".join(pairs).encode() if pairs else b""

    def _body(self, media: Mapping[str, Any], kind: str, known: Known, wrong: str) -> bytes:
        dice = self.dice
        if "json" not in kind or isinstance(media.get("example"), str):
            body = str(media["example"]).encode()
        else:
            value = media.get("example")
            if value is None or dice.random() < 0.5:
                value = self.value(media["schema"], known)
            if wrong == "body":
                for _ in range(dice.randint(1, 2)):
                    value = changed_value(value, dice)
            body = json.dumps(value, ensure_ascii=dice.random() < 0.5).encode(
                "utf-8", "surrogatepass"
            )
        return mutated(body, dice) if wrong == "bytes" else body

    def value(self, schema: Mapping[str, Any], known: Known, depth: int = 0) -> Any:
        """A value of a schema, as far as schemas say what there may be."""
        dice = self.dice
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if "const" in schema:
            return schema["const"]
        if schema.get("examples") and dice.random() < 0.4:
            return dice.choice(schema["examples"])
        for choices in ("anyOf", "oneOf", "enum"):
            if choices in schema:
                one = dice.choice(schema[choices])
                return one if choices == "enum" else self.value(one, known, depth)
        match schema.get("type"):
            case "object":
                required = schema.get("required", ())
                return {
                    name: self.value(inner, known, depth + 1)
                    for name, inner in schema.get("properties", {}).items()
                    if name in required or (depth < 4 and dice.random() < 0.5)
                }
            case "array":
                items = schema.get("items", {})
                return [self.value(items, known, depth + 1) for _ in range(dice.randint(0, 2))]
            case "integer":
                return dice.randint(schema.get("minimum", 0), schema.get("maximum", 100))
            case "number":
                return dice.uniform(schema.get("minimum", 0), schema.get("maximum", 10))
            case "boolean":
                return dice.random() < 0.5
            case "null":
                return None
        if schema.get("format") == "uuid":
            return known.draw("conversations", dice)
        return dice.choice(("Add task: Buy milk", "hello", "delete task 1", "x", "demo", "list"))
