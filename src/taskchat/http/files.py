"""Files that are sent as they are, under an address that names their content.

A browser may keep them for good, and never mixes those of two releases. The documents that name
them are sent under addresses of their own.
"""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from taskchat.errors import NotFound
from taskchat.http.requests import quality

SCRIPT: Final = "text/javascript; charset=utf-8"

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": SCRIPT,
    ".mjs": SCRIPT,
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""By suffix: what is sent at all. Browsers run no script of another type."""

KEPT: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of a file under the address that names its content."""

PASSING: Final = {**KEPT, "Cache-Control": "no-store"}
"""Of a file for a page of another release: while one takes the other's place, both serve."""


@dataclass(frozen=True)
class ShippedFile:
    """One file, as it is sent.

    Attributes:
        content: Its bytes.
        media_type: For `Content-Type`.
    """

    content: bytes
    media_type: str

    @cached_property
    def etag(self) -> str:
        """Names the content."""
        return f'"{_digest(self.content)}"'

    @cached_property
    def packed(self) -> bytes:
        """The content for those who take gzip; made once."""
        return gzip.compress(self.content, mtime=0)

    def answer(self, request: Request, headers: Mapping[str, str]) -> Response:
        """The file, unless the browser has it; small where it takes that."""
        headers = {**headers, "ETag": self.etag, "Vary": "Accept-Encoding"}
        known = request.headers.get("if-none-match", "")
        # What is sent packed may come back marked as weak by a proxy.
        if self.etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}:
            return Response(status_code=304, headers=headers)
        content = self.content
        if quality(request.headers.get("accept-encoding") or "identity", "gzip"):
            content = self.packed
            headers["Content-Encoding"] = "gzip"
        return Response(content, headers=headers, media_type=self.media_type)


class ShippedFiles:
    """The files of a folder, read once.

    Args:
        folder: Where they are.

    Attributes:
        version: Names the content of all of them together, in their address.
    """

    def __init__(self, folder: Path) -> None:
        read = {
            path.relative_to(folder).as_posix(): ShippedFile(
                path.read_bytes(), MEDIA_TYPES[path.suffix]
            )
            for path in sorted(folder.rglob("*"))
            if path.suffix in MEDIA_TYPES
        }
        self._documents = {name: file for name, file in read.items() if name.endswith(".html")}
        self._files = {name: file for name, file in read.items() if name not in self._documents}
        parts = (f"{name}\0{file.etag}\0" for name, file in self._files.items())
        self.version = _digest("".join(parts).encode())

    def __iter__(self) -> Iterator[tuple[str, ShippedFile]]:
        """The files by their paths, in order; no documents."""
        return iter(self._files.items())

    def get(self, name: str) -> ShippedFile:
        """A file by its path within the folder.

        Raises:
            NotFound: there is none, or it is a document.
        """
        found = self._files.get(name)
        if found is None:
            raise NotFound
        return found

    def document(self, name: str, told: Mapping[str, str] | None = None) -> ShippedFile:
        """A document with what it is told in it.

        Args:
            name: Its path within the folder.
            told: By the names that stand in it as `{{name}}`; the version is told in any case.
        """
        document = self._documents[name]
        text = document.content.decode()
        for key, value in {**(told or {}), "version": self.version}.items():
            text = text.replace("{{" + key + "}}", value)
        return ShippedFile(text.encode(), document.media_type)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
