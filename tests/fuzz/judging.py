"""What every answer must be, whatever was asked."""

import json
from collections.abc import Mapping
from typing import Any, Final

from tests.answers import Answer
from tests.fuzz.drawing import Drawn

OVERLOADED: Final = frozenset({"overloaded", "database_error", "shutting_down"})
"""What a 503 may say: come back later."""


def fault_of(
    drawn: Drawn, answer: Answer, document: Mapping[str, Any], *, secret: str
) -> str | None:
    """What is wrong with an answer; None: nothing.

    Args:
        drawn: What was asked.
        answer: What came.
        document: The OpenAPI document.
        secret: Stands in what another user has.
    """
    if secret.encode() in answer.content:
        return "another user's"
    if not answer.headers.get("x-request-id"):
        return "no X-Request-ID"
    if answer.status >= 400:
        if answer.status >= 500 and not _said_by_contract(drawn, answer):
            return f"{answer.status}"
        if drawn.method != "HEAD" and not _is_an_error(answer):
            return f"an error of another shape: {answer.content[:300]!r}"
    operation = document["paths"].get(drawn.path, {}).get(drawn.method.lower())
    # A path with something wrong in it is another one; and a request whose headers give it no
    # length, or two, is refused before it has an address.
    unread = {404, 431, 400} if drawn.wrong == "header" else {404, 431}
    if operation and drawn.wrong != "path" and answer.status not in unread:
        if str(answer.status) not in operation["responses"]:
            return f"{answer.status} is not documented"
        said = operation["responses"][str(answer.status)].get("content")
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if said and answer.content and kind not in (*said, "application/problem+json"):
            return f"{kind} is not documented for {answer.status}"
    return None


def _said_by_contract(drawn: Drawn, answer: Answer) -> bool:
    if answer.status != 503:
        return False
    body = json.loads(answer.content)
    return body.get("error_code") in OVERLOADED - {"database_error"}


def _is_an_error(answer: Answer) -> bool:
    try:
        body = json.loads(answer.content)
    except ValueError:
        return False
    inner = body.get("error")
    return "error_code" in body or (isinstance(inner, dict) and "code" in inner)
