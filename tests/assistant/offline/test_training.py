"""Training gives the same bytes whatever the machine, the version of Python or its hashes."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskchat_offline.generator import Generator
from taskchat_offline.train import lesson_of

SMALL = "7eaa9cb73ac4b5fadb005f785ef333853e746c9e2060ad12d1c8efd375f9baff"
"""The weights after 60 sentences and two rounds; whoever changes the data or training sets it."""


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_a_small_training_gives_the_same_bytes_everywhere(tmp_path: Path, seed: str) -> None:
    out = tmp_path / "weights.tsv"
    subprocess.run(
        [sys.executable, "-m", "taskchat_offline.train", "--examples", "60", "--epochs", "2",
         "--out", str(out)],
        env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert hashlib.sha256(out.read_bytes()).hexdigest() == SMALL


def test_generated_sentences_are_labelled_where_their_parts_are() -> None:
    generator = Generator(1)
    for _ in range(200):
        example = generator.example()
        lesson = lesson_of(example)
        assert [s.start for s in lesson.segments[:1]] in ([0], [])
        for segment, after in zip(lesson.segments, lesson.segments[1:], strict=False):
            assert segment.end == after.start
        for start, end, _ in example.slots:
            assert example.text[start:end].strip() == example.text[start:end] != "", example
