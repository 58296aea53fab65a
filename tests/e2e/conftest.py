"""What tests of real processes share."""

from pathlib import Path

import pytest


@pytest.fixture
def temp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for temporary files alone; its path is short enough for sockets."""
    return tmp_path_factory.mktemp("t")
