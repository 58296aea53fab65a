"""Builds a release in dist/: the same commit makes the same bytes, whoever builds it and when."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).resolve().parent.parent
DIST: Final = TOP / "dist"


def committed_at() -> str:
    """When the last commit was made, in seconds since 1970; 0 where there is no history."""
    command = ("git", "log", "-1", "--format=%ct")
    try:
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "0"
    return done.stdout.strip()


def main(cyclonedx: str) -> None:
    """Build the wheel, its sources and the list of what is in them, with a hash of each."""
    shutil.rmtree(DIST, ignore_errors=True)
    fixed = {**os.environ}
    fixed.setdefault("SOURCE_DATE_EPOCH", committed_at())
    build = (sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel")
    subprocess.run((*build, "-d", DIST), cwd=TOP, env=fixed, check=True)
    contents = DIST / "taskchat.cdx.json"
    command = (
        *(cyclonedx, "requirements", "requirements.lock", "--pyproject", "pyproject.toml"),
        # Without the time and the serial number that would differ each time.
        *("--output-reproducible", "--of", "JSON", "--validate", "-o", str(contents)),
    )
    subprocess.run(command, cwd=TOP, check=True, stderr=subprocess.DEVNULL)
    sums = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
        for file in sorted(DIST.iterdir())
    ]
    (DIST / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    print("".join(sums), end="")


if __name__ == "__main__":
    main(sys.argv[1])
