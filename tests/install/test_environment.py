"""`make` makes the environment in any folder, and anew when it is not whole."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tests.install.locks import ADDED, SERVING, NewerIndex

pytestmark = pytest.mark.long

NAME = """My "Projects" & 'größe' $HOME #1 %s;"""
"""Characters that a shell, make, a format or a script's first line would take for others."""

MAKE_S = 120
"""Much longer than a slow machine takes for an environment of one empty package."""


class Checkout:
    """The files that make an environment, with locks of one empty package each.

    Args:
        folder: Where it is.
        index: Has the packages.
    """

    def __init__(self, folder: Path, index: NewerIndex) -> None:
        self.folder, self.index = folder, index

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run make to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=MAKE_S,
            check=False,
        )

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return ["make", "--no-print-directory", *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        """This process's, without what would lead pip or make elsewhere."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIP_", "MAKE", "MFLAGS"))
        }
        python = os.path.realpath(sys.executable)
        return {
            **kept,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self.index.url,
            "PYTHON": python,
            **variables,
        }

    def says(self) -> str:
        """What the command in the environment prints."""
        done = subprocess.run(
            [self.folder / ".venv/bin/taskchat", "now"],
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            timeout=MAKE_S,
            check=True,
        )
        return done.stdout

    def packages(self) -> set[str]:
        """The names of what is installed, without pip's own."""
        found = self.folder.glob(".venv/lib/python*/site-packages/*.dist-info")
        return {path.name.partition("-")[0] for path in found} & {"click", "pluggy"}


@pytest.fixture(scope="module")
def checkout(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    top = tmp_path_factory.mktemp("install")
    pins = {SERVING: Requirement("click==1"), ADDED: Requirement("pluggy==1")}
    index = NewerIndex(top / "index", list(pins.values()))
    folder = top / NAME
    (folder / "src/taskchat").mkdir(parents=True)
    (folder / "src/taskchat/__main__.py").write_text(
        "import sys; print(__file__, *sys.argv[1:])", encoding="utf-8"
    )
    (folder / "scripts").mkdir()
    shutil.copy(project / "Makefile", folder)
    shutil.copy(project / "scripts/environment.py", folder / "scripts")
    for lock, pin in pins.items():
        (folder / lock).write_text(index.lock([pin]), encoding="utf-8")
    return Checkout(folder, index)


@pytest.fixture
def whole(checkout: Checkout) -> Checkout:
    """One whose environment is whole, whichever test came before on this worker."""
    made = checkout.make("run")
    assert made.returncode == 0, made.stderr
    return checkout


def begins_anew(checkout: Checkout) -> bool:
    """Whether make starts to make the environment; Ctrl-C is pressed once it says so."""
    with subprocess.Popen(
        checkout.command("environment"),
        cwd=checkout.folder,
        env=checkout.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        if "Making .venv" not in process.stderr.readline():
            return False
        # A terminal sends it to all of them.
        os.killpg(process.pid, signal.SIGINT)
        assert "Traceback" not in process.stderr.read()
    assert process.returncode != 0
    return True


def test_an_environment_is_made_in_any_folder_and_anew_after_ctrl_c(checkout: Checkout) -> None:
    assert begins_anew(checkout)
    made = checkout.make("run", "ARGS=--port 0")
    assert "Making .venv" in made.stderr
    command = checkout.folder / "src/taskchat/__main__.py"
    assert (made.returncode, made.stdout) == (0, f"{command} dev --port 0\n"), made.stderr
    assert checkout.says() == f"{command} now\n"
    assert checkout.packages() == {"click"}, "what serves is installed, and no tool"


def test_a_whole_environment_is_left_alone_and_added_to(whole: Checkout) -> None:
    again = whole.make("environment")
    assert again.returncode == 0, again.stderr
    assert "Making" not in again.stderr
    assert whole.packages() == {"click", "pluggy"}
    assert whole.make("environment").stderr == ""
    # It keeps its Python, whichever is the first on the PATH.
    assert whole.make("environment", PYTHON="").stderr == ""


def test_a_copied_environment_is_made_anew(whole: Checkout, tmp_path: Path) -> None:
    shutil.copytree(whole.folder, tmp_path / "copy", symlinks=True)
    assert begins_anew(Checkout(tmp_path / "copy", whole.index))


def test_an_environment_without_its_python_is_made_anew(whole: Checkout) -> None:
    python = whole.folder / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/gone/python3")
    assert begins_anew(whole)


def test_a_python_that_cannot_make_environments_is_told_in_one_sentence(
    checkout: Checkout, tmp_path: Path
) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError", encoding="utf-8")
    refused = checkout.make("run", PYTHONPATH=str(tmp_path))
    assert refused.returncode != 0
    told = [line for line in refused.stderr.splitlines() if not line.startswith("make: ")]
    assert len(told) == 1
    assert "ensurepip" in told[0]
    assert "make PYTHON=" in told[0]


@pytest.mark.parametrize("python", ["/bin/false", "/gone/python"])
def test_another_python_is_told_in_one_sentence(checkout: Checkout, python: str) -> None:
    refused = checkout.make("run", PYTHON=python)
    assert refused.returncode != 0
    told = [line for line in refused.stderr.splitlines() if not line.startswith("make: ")]
    assert len(told) == 1
    assert "needs Python 3.11 to 3.14" in told[0]
    assert python in told[0]
