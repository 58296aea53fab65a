"""A real embedding model for the benchmark, if somebody has installed one: it is no dependency.

`pip install wordllama` brings its weights and works without a network.
"""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Vectors = Callable[[Sequence[str]], list[list[float]]]

PACKAGE = "wordllama"


def real_model() -> Vectors | None:
    """What makes vectors of texts; None if the package is not there."""
    if importlib.util.find_spec(PACKAGE) is None:
        return None
    package: Any = importlib.import_module(PACKAGE)
    # Its files are in the package; elsewhere it would look for them on a hub.
    model = package.WordLlama.load(cache_dir=Path(package.__file__).parent, disable_download=True)

    def vectors(texts: Sequence[str]) -> list[list[float]]:
        found: list[list[float]] = model.embed(list(texts), norm=True).tolist()
        return found

    return vectors
