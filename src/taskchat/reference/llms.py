"""`/llms.txt`: what this service is and where to read on, for programs that read for people.

Source: llmstxt.org: a heading, a quoted summary, text, then sections of links.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from taskchat.reference.pages import DocsPage, pages

SUMMARY = (
    "A stateless chat API for a to-do list: a message goes in, an assistant with five task tools "
    "works on it, and its reply and tool calls come back, as JSON or live as events."
)


def short(document: Mapping[str, Any], *, accounts: bool) -> str:
    """What `/llms.txt` says.

    Args:
        document: The service's OpenAPI document.
        accounts: Whether people can register here.
    """
    return "\n".join(_lines(document, accounts))


def whole(document: Mapping[str, Any], *, accounts: bool) -> str:
    """The same, with every page for those who build on the service behind it."""
    read = "\n\n".join(page.text.strip() for page in pages() if page.is_for_builders)
    return f"{short(document, accounts=accounts)}\n{read}\n"


def _lines(document: Mapping[str, Any], accounts: bool) -> Iterator[str]:
    yield f"# {document['info']['title']}\n"
    yield f"> {SUMMARY}\n"
    yield "Every request carries `Authorization: Bearer <JWT>`; its `sub` is the `{user_id}` of the"
    yield "path. " + " ".join(_tokens(accounts)) + "\n"
    yield "A first request:\n"
    yield "```sh"
    yield 'curl -s "$URL/api/$USER_ID/chat" -H "Authorization: Bearer $TOKEN" \\'
    yield "  -H 'Content-Type: application/json' -d '{\"message\": \"Add task: Buy groceries\"}'"
    yield "```\n"
    yield "## Docs\n"
    yield from (_link(page) for page in pages() if page.is_for_builders)
    yield "- [OpenAPI](/openapi.json): every route, body, answer and error, each with an example"
    yield "- [API reference](/docs): the same as a page to read and try"
    yield "- [Everything above in one file](/llms-full.txt)\n"
    yield "## Routes\n"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            said = operation.get("description", operation.get("summary", "")).partition("\n")[0]
            yield f"- `{method.upper()} {path}`: {said}"
    yield "\n## Optional\n"
    yield from (_link(page) for page in pages() if not page.is_for_builders)
    yield ""


def _tokens(accounts: bool) -> Iterator[str]:
    yield "`taskchat dev` prints a token and `taskchat token USER_ID` makes one, where the signing"
    yield "secret is local; in production your identity provider issues them."
    if accounts:
        yield "Or register: `POST /api/auth/register` with `email` and `password` answers one."


def _link(page: DocsPage) -> str:
    return f"- [{page.title}](/docs/{page.name})" + (f": {page.holds}" if page.holds else "")
