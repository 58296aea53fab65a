"""PNG with a palette: a picture of a page has few colours, and takes half of the bytes so.

Source: PNG Specification, third edition, 5 (chunks) and 9 (filters).
"""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"

COLOURS_MAX = 256

EXACT = 96
"""So many of the most frequent colours are kept as they are: areas, not the edges of letters."""


def with_palette(png: bytes) -> bytes:
    """The same picture with 256 colours at most.

    Args:
        png: With 8 bits a channel, no transparency and no interlacing, as browsers write it.
    """
    read = list(chunks(png))
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", dict(read)[b"IHDR"])
    assert (depth, kind, interlaced) == (8, 2, 0)
    packed = b"".join(content for name, content in read if name == b"IDAT")
    rows = list(_rows(zlib.decompress(packed), width * 3))
    pixels = [[row[place : place + 3] for place in range(0, len(row), 3)] for row in rows]
    near = _nearest(Counter(pixel for row in pixels for pixel in row))
    palette = sorted(set(near.values()))
    number = {colour: palette.index(colour) for colour in palette}
    lines = b"".join(b"\0" + bytes(number[near[pixel]] for pixel in row) for row in pixels)
    return SIGNATURE + b"".join(
        chunk(name, content)
        for name, content in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", b"".join(palette)),
            (b"IDAT", zlib.compress(lines, 9)),
            (b"IEND", b""),
        )
    )


def _nearest(seen: Counter[bytes]) -> dict[bytes, bytes]:
    """For each colour the one that stands for it: itself, or the most frequent one of its like."""
    order = [colour for colour, _ in sorted(seen.items(), key=lambda one: (-one[1], one[0]))]
    exact, rest = order[:EXACT], order[EXACT:]
    for shift in range(8):
        likes: dict[tuple[int, ...], bytes] = {}
        for colour in rest:
            likes.setdefault(tuple(channel >> shift for channel in colour), colour)
        if len(exact) + len(likes) <= COLOURS_MAX:
            break
    alike = {colour: likes[tuple(channel >> shift for channel in colour)] for colour in rest}
    return {**alike, **{colour: colour for colour in exact}}


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What a PNG consists of: names with contents."""
    assert png.startswith(SIGNATURE)
    place = len(SIGNATURE)
    while place < len(png):
        length, name = struct.unpack_from(">I4s", png, place)
        yield name, png[place + 8 : place + 8 + length]
        place += length + 12


def chunk(name: bytes, content: bytes) -> bytes:
    """One of those, with its length and its sum."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def _rows(filtered: bytes, width: int) -> Iterator[bytes]:
    above = bytes(width)
    for place in range(0, len(filtered), width + 1):
        row = bytearray(filtered[place + 1 : place + 1 + width])
        match filtered[place]:
            case 1:
                for byte in range(3, width):
                    row[byte] = (row[byte] + row[byte - 3]) & 255
            case 2:
                row = bytearray((one + up) & 255 for one, up in zip(row, above, strict=True))
            case 3:
                for byte in range(width):
                    left = row[byte - 3] if byte >= 3 else 0
                    row[byte] = (row[byte] + (left + above[byte]) // 2) & 255
            case 4:
                for byte in range(width):
                    left, corner = (row[byte - 3], above[byte - 3]) if byte >= 3 else (0, 0)
                    row[byte] = (row[byte] + paeth(left, above[byte], corner)) & 255
        above = bytes(row)
        yield above


def paeth(left: int, up: int, corner: int) -> int:
    """Which of its neighbours a byte is guessed to be."""
    guess = left + up - corner
    return min((left, up, corner), key=lambda one: abs(guess - one))
