"""The pages of the documentation that are shipped with the service, for people and programs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from taskchat.resources import resource_path

INDEX: Final = "README.md"
"""The page that lists the others, in the order in which they are best read."""

OUR_OWN: Final = "## Working on it"
"""The index's heading over pages for those who work on the service itself."""

_ROW: Final = re.compile(r"^\| \[([a-z-]+\.md)\]\([^)]*\) \| (.+?) \|$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True, slots=True)
class DocsPage:
    """One page.

    Attributes:
        name: Of its file: `api.md`.
        title: Its first heading.
        holds: What is in it, in a phrase.
        text: The whole page, as Markdown.
        is_for_builders: Whether it is for those who build on the service.
    """

    name: str
    title: str
    holds: str
    text: str
    is_for_builders: bool


@cache
def pages() -> Sequence[DocsPage]:
    """All pages, in the order in which they are best read."""
    folder = resource_path("docs")
    for_builders, _, ours = (folder / INDEX).read_text(encoding="utf-8").partition(OUR_OWN)
    return [
        DocsPage(
            name=name,
            title=_title(text),
            holds=_LINK.sub(r"\1", phrase),
            text=text,
            is_for_builders=part is for_builders,
        )
        for part in (for_builders, ours)
        for name, phrase in _ROW.findall(part)
        for text in [(folder / name).read_text(encoding="utf-8")]
    ]


def _title(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ").strip()


def page_of(name: str) -> DocsPage | None:
    """A page by the name of its file."""
    return next((page for page in pages() if page.name == name), None)
