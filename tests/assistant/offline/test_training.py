"""Training gives the same bytes whatever the machine, the version of Python or its hashes."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskchat_offline.features import Heard
from taskchat_offline.generator import Example, Generator, examples_in, parts_of
from taskchat_offline.learned import SLOTS
from taskchat_offline.train import DATA, lesson_of

SMALL = "6c9169f64ab61a9fbe70a308c7776f37aa8d61d898e63cbcc6b3bebbd64e5f66"
"""The weights after two rounds over these; whoever changes data, features or training sets it."""

MARKED = DATA / "marked" / "first.jsonl"


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_a_small_training_gives_the_same_bytes_everywhere(tmp_path: Path, seed: str) -> None:
    out, marked = tmp_path / "weights.tsv", tmp_path / "marked"
    marked.mkdir()
    lines = MARKED.read_text(encoding="utf-8").splitlines(keepends=True)[:60]
    (marked / "few.jsonl").write_text("".join(lines), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "taskchat_offline.train", "--examples", "60", "--epochs", "2",
         "--marked", str(marked), "--out", str(out)],
        env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert hashlib.sha256(out.read_bytes()).hexdigest() == SMALL


def _check(example: Example) -> None:
    lesson = lesson_of(example)
    assert [s.start for s in lesson.segments[:1]] in ([0], [])
    for segment, after in zip(lesson.segments, lesson.segments[1:], strict=False):
        assert segment.end == after.start
    for segment, filled in zip(lesson.segments, lesson.filled, strict=True):
        assert {span.slot for span in filled} <= set(SLOTS.get(segment.label, ""))
        assert all(segment.start <= span.start < span.end <= segment.end for span in filled)
    assert isinstance(lesson.heard, Heard)


def test_what_is_marked_is_read_where_it_stands() -> None:
    marked = "⟦duty⟧we're out of ⟨T milk⟩, ⟦add⟧put that down"
    example = Example(parts_of(marked), [])
    assert example.text == "we're out of milk, put that down"
    assert example.starts == [(0, "duty"), (19, "add")]
    assert [(example.text[start:end], slot) for start, end, slot in example.slots] == [
        ("milk", "T")
    ]


@pytest.mark.parametrize("path", sorted((DATA / "marked").iterdir()), ids=lambda path: path.stem)
def test_every_tenth_marked_sentence_is_a_lesson(path: Path) -> None:
    for example in [*examples_in(path)][::10]:
        _check(example)


def test_what_is_made_of_them_is_a_lesson_too() -> None:
    generator = Generator([*examples_in(MARKED)], 1)
    for _ in range(200):
        _check(generator.example())
