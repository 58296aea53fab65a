"""The pages of the documentation that are shipped with the service, for people and programs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from taskchat.resources import resource_path

README: Final = "README.md"

ORDER: Final = (
    "quickstart.md",
    "api.md",
    "accounts.md",
    "feedback.md",
    "webhooks.md",
    "schedules.md",
    "search.md",
    "mcp.md",
    "agents.md",
    "scripted-model.md",
    "operations.md",
    "glossary.md",
)
"""Those for who builds on the service come first, and in this order; the others follow by name."""

_ROW: Final = re.compile(r"^\| \[docs/([a-z-]+\.md)\]\([^)]*\) \| (.+?) \|$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class DocsPage:
    """One page.

    Attributes:
        name: Of its file: `api.md`.
        title: Its first heading.
        holds: What is in it, in a phrase; empty if the README does not say.
        text: The whole page, as Markdown.
    """

    name: str
    title: str
    holds: str
    text: str

    @property
    def is_for_builders(self) -> bool:
        """Whether it is for those who build on the service, not for those who work on it."""
        return self.name in ORDER


@cache
def pages() -> Sequence[DocsPage]:
    """All pages, in the order in which they are best read."""
    readme = resource_path(README).read_text(encoding="utf-8")
    holds = {name: _LINK.sub(r"\1", phrase) for name, phrase in _ROW.findall(readme)}
    found = [
        DocsPage(
            name=path.name,
            title=_title(text),
            holds=holds.get(path.name, ""),
            text=text,
        )
        for path in sorted(resource_path("docs").glob("*.md"))
        for text in [path.read_text(encoding="utf-8")]
    ]
    return sorted(found, key=lambda page: (_place(page.name), page.name))


def _title(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ").strip()


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def page_of(name: str) -> DocsPage | None:
    """A page by the name of its file."""
    return next((page for page in pages() if page.name == name), None)
