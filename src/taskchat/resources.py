"""Files that ship beside the code: next to src/ in a checkout, inside the package in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_PLACES = (_PACKAGE / "_resources", _PACKAGE.parent.parent)


def resource_path(relative: str) -> Path:
    """Where a shipped file or folder is.

    Args:
        relative: Its path from the top of a checkout, such as `contracts/agent-config.yaml`.

    Raises:
        FileNotFoundError: when the installation is incomplete.
    """
    for place in _PLACES:
        if (place / relative).exists():
            return place / relative
    raise FileNotFoundError(f"{relative} is missing from this installation; install it again")
