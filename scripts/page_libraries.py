"""The libraries of the chat page, as they were published: fetched by npm, written with hashes.

`make page-libraries` fetches the versions that `vendor/libraries.json` names once more;
`make page-libraries ARGS="marked@18.2.1"` takes another version of one. A test holds the hashes.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).resolve().parent.parent

VENDOR: Final = PROJECT / "src/taskchat/page/assets/vendor"

LIBRARIES: Final = VENDOR / "libraries.json"
"""By name: the version, what npm calls its integrity, and the files that are taken, with hashes."""


def fetch(name: str, version: str, folder: Path) -> tuple[str, Path]:
    """The integrity of a published package, and where its archive is."""
    command = ("npm", "pack", f"{name}@{version}", "--json", "--pack-destination", str(folder))
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    told: Any = json.loads(done.stdout)
    [packed] = told.values() if isinstance(told, dict) else told
    return packed["integrity"], folder / packed["filename"]


def write(name: str, files: dict[str, str], archive: Path) -> dict[str, str]:
    """Write the files of a package; returns their hashes, by where they stand in it."""
    hashes = {}
    with tarfile.open(archive) as package:
        for source in files:
            member = package.extractfile(f"package/{source}")
            if member is None:
                raise SystemExit(f"{name} has no file {source}")
            content = member.read()
            target = VENDOR / place_of(name, source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            hashes[source] = hashlib.sha256(content).hexdigest()
    return hashes


def place_of(name: str, source: str) -> Path:
    """Where a file of a package is kept: without the folder that it was built into."""
    parts = Path(source).parts
    return Path(name, *(parts[1:] if parts[0] in {"dist", "lib"} else parts))


def main() -> None:
    """Fetch all of them, or those that are named with a version."""
    known: dict[str, Any] = json.loads(LIBRARIES.read_text(encoding="utf-8"))
    wanted = dict(asked.rsplit("@", 1) for asked in sys.argv[1:])
    for name, library in known.items():
        version = wanted.get(name, library["version"])
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            integrity, archive = fetch(name, version, Path(folder))
            if version == library["version"] and library["integrity"] not in {"", integrity}:
                raise SystemExit(f"{name} {version} is another one than before: {integrity}")
            files = write(name, library["files"], archive)
        known[name] = {"version": version, "integrity": integrity, "files": files}
        print(f"{name} {version}")
    LIBRARIES.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
