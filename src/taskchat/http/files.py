"""Files that are sent as they are, under an address that names their content.

A browser may keep them for good, and never mixes those of two releases.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from taskchat.errors import NotFound

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
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
    def packed(self) -> bytes:
        """The content for those who take gzip; made once."""
        return gzip.compress(self.content, compresslevel=6, mtime=0)

    def answer(self, request: Request, headers: dict[str, str]) -> Response:
        """The file, packed for those who take that."""
        vary = {**headers, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            vary["Content-Encoding"] = "gzip"
            return Response(self.packed, headers=vary, media_type=self.media_type)
        return Response(self.content, headers=vary, media_type=self.media_type)


class ShippedFiles:
    """The files of a folder, read once.

    Args:
        folder: Where they are.

    Attributes:
        version: Names the content of all of them together, in their address.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): ShippedFile(
                path.read_bytes(), MEDIA_TYPES[path.suffix]
            )
            for path in sorted(folder.rglob("*"))
            if path.suffix in MEDIA_TYPES
        }
        parts = hashlib.sha256()
        for name, file in self._files.items():
            parts.update(f"{name}\0{len(file.content)}\0".encode() + file.content)
        self.version = parts.hexdigest()[:16]
        for file in self._files.values():
            # While it is read, not while somebody waits for it.
            _ = file.packed

    def get(self, name: str) -> ShippedFile:
        """A file by its path within the folder.

        Raises:
            NotFound: there is none.
        """
        found = self._files.get(name)
        if found is None:
            raise NotFound
        return found

    def document(self, name: str) -> ShippedFile:
        """A page whose links name the version, where `{{version}}` stands in it."""
        page = self.get(name)
        text = page.content.replace(b"{{version}}", self.version.encode())
        return ShippedFile(text, page.media_type)
