"""Writes docs/licences.md: under which licence everything may be used that the service is made of.

A package that this machine does not have, because it is for another system, keeps its row.
"""

import re
from importlib import metadata
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).resolve().parent.parent
PAGE: Final = TOP / "docs/licences.md"

SPOKEN: Final = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
"""What older packages call them, as SPDX does."""

ROW: Final = re.compile(r"^\| ([a-z0-9][a-z0-9-]*) \| (.+?) \|$", re.MULTILINE)


def locked(lock: Path) -> list[str]:
    """The packages that a lock names."""
    text = lock.read_text(encoding="utf-8")
    return sorted(set(re.findall(r"^([a-z0-9][a-z0-9._-]*)", text, re.MULTILINE)))


def licence_of(name: str) -> str | None:
    """A package's licence in SPDX's words, as it says itself; None if it is not here."""
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if "License-Expression" in said:
        return said["License-Expression"]
    classified = [
        SPOKEN[name]
        for line in said.get_all("Classifier") or ()
        if (name := line.rpartition(" :: ")[2]) in SPOKEN
    ]
    if classified:
        return " OR ".join(sorted(classified))
    if "License" in said:
        named = said["License"].splitlines()[0]
        return SPOKEN.get(named, named)
    is_bsd = "License :: OSI Approved :: BSD License" in (said.get_all("Classifier") or ())
    return bsd_of(said["Name"]) if is_bsd else "unknown"


def bsd_of(name: str) -> str:
    """Which of the BSD licences a package has that only says “BSD”: the third clause tells."""
    files = metadata.files(name) or ()
    texts = [file.read_text() for file in files if file.name.startswith("LICENSE")]
    return "BSD-3-Clause" if any("Neither the name" in text for text in texts) else "BSD-2-Clause"


def listed(page: str) -> dict[str, str]:
    """The licences that a page lists, by package."""
    return {name: licence for name, licence in ROW.findall(page) if name != "package"}


def table() -> dict[str, str]:
    """The licence of every package that serving has."""
    known = listed(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    return {
        name: licence_of(name) or known.get(name, "unknown")
        for name in locked(TOP / "requirements.lock")
    }


HEAD: Final = """\
# Licences

taskchat is under the MIT licence. This is what it is made of, as the packages say themselves, in
the words of SPDX; `make licences` writes this page.

| package | licence |
| --- | --- |
"""

TAIL: Final = """
Shipped with the service, with their licences beside them: `marked`, `dompurify` and `lit-html` for
[the chat page](page.md), and Swagger UI for `/docs`.
"""


def main() -> None:
    """Write the page."""
    rows = "".join(f"| {name} | {licence} |\n" for name, licence in table().items())
    PAGE.write_text(f"{HEAD}{rows}{TAIL}", encoding="utf-8")
    print(f"wrote {PAGE.relative_to(TOP)}")


if __name__ == "__main__":
    main()
