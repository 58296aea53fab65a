"""The pictures in the docs show the page as it is. `make pictures` makes them anew."""

import random
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.browser import png
from tests.browser.pictures import NAMES, OF_ASSETS, assets_digest

PALETTE = 3


def test_the_pictures_were_made_of_the_page_as_it_is_now(project: Path) -> None:
    made_of = (project / OF_ASSETS).read_text(encoding="ascii").strip()
    assert made_of == assets_digest(), "the page has changed; run: make pictures"


def test_each_picture_is_there_small_and_shown(project: Path) -> None:
    page = (project / "docs/page.md").read_text(encoding="utf-8")
    assert set(re.findall(r"pictures/([\w-]+\.png)", page)) == set(NAMES)
    folder = (project / OF_ASSETS).parent
    assert {path.name for path in folder.glob("*.png")} == set(NAMES)
    for name in NAMES:
        picture = (folder / name).read_bytes()
        width, _, _, kind = struct.unpack_from(">IIBB", picture, 16)
        assert (width, kind) == (390 if "phone" in name else 1280, PALETTE), name
        assert len(picture) < 100_000, name


WIDTH = 61


def picture_of(rows: Sequence[bytes], filters: Sequence[int]) -> bytes:
    """A picture with these rows, each filtered as its number says."""
    above, filtered = bytes(len(rows[0])), b""
    for row, filter_ in zip(rows, filters, strict=True):
        filtered += bytes([filter_])
        for place, byte in enumerate(row):
            left, corner = (row[place - 3], above[place - 3]) if place >= 3 else (0, 0)
            up = above[place]
            guess = (0, left, up, (left + up) // 2, png.paeth(left, up, corner))[filter_]
            filtered += bytes([(byte - guess) & 255])
        above = row
    head = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    return png.SIGNATURE + b"".join(
        png.chunk(name, content)
        for name, content in ((b"IHDR", head), (b"IDAT", zlib.compress(filtered)), (b"IEND", b""))
    )


def shown(picture: bytes) -> tuple[list[bytes], int]:
    """The rows of a picture with a palette, and how many colours that has."""
    chunks = dict(png.chunks(picture))
    palette, lines = chunks[b"PLTE"], zlib.decompress(chunks[b"IDAT"])
    rows = [
        b"".join(palette[3 * number : 3 * number + 3] for number in lines[place + 1 :][:WIDTH])
        for place in range(0, len(lines), WIDTH + 1)
    ]
    return rows, len(palette) // 3


@pytest.mark.parametrize(("step", "few"), [(60, True), (3, False)])
def test_a_palette_keeps_a_picture_as_far_as_its_colours_allow(step: int, few: bool) -> None:
    drawn = random.Random(1)
    rows = [bytes(drawn.randrange(0, 256, step) for _ in range(WIDTH * 3)) for _ in range(40)]
    seen, colours = shown(png.with_palette(picture_of(rows, [row % 5 for row in range(40)])))
    assert (seen == rows) is few
    assert colours <= png.COLOURS_MAX
    pairs = zip(b"".join(rows), b"".join(seen), strict=True)
    assert max(abs(one - other) for one, other in pairs) <= (0 if few else 64)
