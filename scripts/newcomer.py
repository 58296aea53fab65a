"""What a newcomer does: the README and the quickstart word for word, in an empty folder.

`make newcomer` clones what is committed into a folder with a space in its name, with an empty home,
and runs the blocks of both pages as they stand: `make run` serves until the end, the token is the
one that it prints, and what a command prints must be what stands below it. `ARGS=--test` runs the
README's `make test` last. Port 8000 must be free.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parent.parent

PAGES: Final = ("README.md", "docs/quickstart.md")

URL: Final = "http://127.0.0.1:8000"

SHOWN: Final = ("sh", "console")
"""Languages of blocks that are pasted into a shell."""

NOT_PASTED: Final = ("make run", "make test", "git clone", "OPENAI_API_KEY=", "taskchat chat")
"""Blocks that are followed in another way, or not: they need an address, a key or a person."""


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and text."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```([a-z]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@contextmanager
def serving(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """`make run`, until the block ends; gives the token that it prints."""
    with subprocess.Popen(
        ["make", "run"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            told = process.stdout or ()
            yield next(line.strip() for line in told if line.startswith("eyJ"))
        finally:
            # As Ctrl-C in the terminal.
            os.killpg(process.pid, signal.SIGINT)
            process.communicate()
    print(f"make run ended with {process.returncode} after Ctrl-C")


def paste(pages: list[Path], folder: Path, environment: dict[str, str]) -> int:
    """Paste all blocks into one shell; returns how many there were.

    Raises:
        SystemExit: one fails, or prints something else than its page says.
    """
    pasted = 0
    for page in pages:
        shown = [*blocks(page), ("", "")]
        exported = ""
        for (language, body), (below, expected) in pairwise(shown):
            if language not in SHOWN or any(words in body for words in NOT_PASTED):
                continue
            done = subprocess.run(
                ["sh", "-euc", exported + body],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
            print(f"$ {body}{done.stdout}", flush=True)
            if done.returncode or '"status":"error"' in done.stdout:
                raise SystemExit(f"{page.name}: this failed: {body}")
            if below == "text" and done.stdout != expected:
                raise SystemExit(f"{page.name}: it prints something else: {expected}")
            if "export " in body:
                exported += body
            if below == "json":
                conversation = json.loads(done.stdout)["conversation_id"]
                environment = {**environment, "CONVERSATION": conversation}
            pasted += 1
    return pasted


def main(arguments: list[str]) -> None:
    """Follow both pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--test", action="store_true", help="run make test last")
    asked = parser.parse_args(arguments)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHON") if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="a newcomer ") as top:
        home, folder = Path(top, "home"), Path(top, "taskchat")
        home.mkdir()
        subprocess.run(["git", "clone", "-q", str(PROJECT), str(folder)], check=True)
        environment = {**kept, "HOME": str(home)}
        with serving(folder, environment) as token:
            with urllib.request.urlopen(URL) as page:
                print(
                    f"{URL}/ is a page of {len(page.read())} bytes, {page.headers['Content-Type']}"
                )
            pages = [folder / page for page in PAGES]
            pasted = paste(pages, folder, {**environment, "TOKEN": token})
        if asked.test:
            subprocess.run(["make", "test"], cwd=folder, env=environment, check=True)
        shutil.rmtree(folder)
    print(f"{pasted} blocks did what {' and '.join(PAGES)} say")


if __name__ == "__main__":
    main(sys.argv[1:])
