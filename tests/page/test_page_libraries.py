"""The libraries of the page are those that were published, to the byte."""

import hashlib
import json
from pathlib import Path

import pytest
from scripts.page_libraries import LIBRARIES, VENDOR, place_of

KNOWN = json.loads(LIBRARIES.read_text(encoding="utf-8"))
FILES = {
    VENDOR / place_of(name, source): digest
    for name, library in KNOWN.items()
    for source, digest in library["files"].items()
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_library_is_as_it_was_published(path: Path) -> None:
    assert hashlib.sha256(path.read_bytes()).hexdigest() == FILES[path]


def test_nothing_else_stands_among_them_and_each_has_its_licence() -> None:
    found = {path for path in VENDOR.rglob("*") if path.is_file()}
    assert found == {LIBRARIES, *FILES}
    for library in KNOWN.values():
        assert library["integrity"].startswith("sha512-")
        assert any("LICENSE" in source for source in library["files"])
