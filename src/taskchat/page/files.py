"""What the page is made of, read once: its document, and its scripts and styles.

Everything but the document is under an address that names its content, so that a browser may keep
it for good and never mixes two releases.
"""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ASSETS: Final = Path(__file__).parent / "assets"

DOCUMENT: Final = "index.html"

MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""By suffix: what is sent at all. Browsers run no module of another type."""


@dataclass(frozen=True)
class PageFile:
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


class PageFiles:
    """All files of the page.

    Args:
        options: What the document says of this service, by the names that stand in it as
            `{{name}}`.
        folder: Where they are.

    Attributes:
        version: Names the content of all of them together, in their address.
        document: What `/` shows.
    """

    def __init__(self, options: dict[str, str], folder: Path = ASSETS) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): PageFile(
                path.read_bytes(), MEDIA_TYPES[path.suffix]
            )
            for path in sorted(folder.rglob("*"))
            if path.suffix in MEDIA_TYPES
        }
        document = self._files.pop(DOCUMENT)
        parts = (f"{name}\0{file.etag}\0" for name, file in self._files.items())
        self.version = _digest("".join(parts).encode())
        text = document.content.decode()
        # Else the browser learns of a module only when it has read the one that imports it.
        preloads = "\n".join(
            f'<link rel="modulepreload" href="/page/{self.version}/{name}">'
            for name, file in self._files.items()
            if file.media_type == MEDIA_TYPES[".js"]
        )
        told = {**options, "version": self.version, "modules": preloads}
        for name, value in told.items():
            text = text.replace("{{" + name + "}}", value)
        self.document = PageFile(text.encode(), document.media_type)

    def get(self, name: str) -> PageFile | None:
        """A file by its path within the folder; None if there is none."""
        return self._files.get(name)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
