"""The package is whole: built from its own sources, it runs outside of any checkout."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import httpx
import pytest
from tests.e2e.processes import environment, fresh_running, ready

pytestmark = pytest.mark.long

BUILD_S = 120
"""Much longer than a slow machine takes to build and unpack a few files."""


BUILT_AT = {"SOURCE_DATE_EPOCH": "1700000000"}
"""A release names the time of its commit; any will do."""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it must end with 0."""
    env = environment() | BUILT_AT
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=BUILD_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


BUILD = (sys.executable, "-m", "hatchling", "build")


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution: what that lacks, the wheel lacks."""
    folder = tmp_path_factory.mktemp("package")
    run(*BUILD, "-t", "sdist", "-d", folder, cwd=project)
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as sources:
        sources.extractall(folder, filter="data")
    run(*BUILD, "-t", "wheel", "-d", folder, cwd=folder / archive.name.removesuffix(".tar.gz"))
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    """Where the wheel is installed; what it depends on is beside this interpreter."""
    folder = wheel.parent
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--target", folder / "site", wheel, cwd=folder)
    return folder / "site"


def test_a_checkout_makes_the_same_bytes_as_its_source_distribution(
    wheel: Path, project: Path, tmp_path: Path
) -> None:
    run(*BUILD, "-t", "wheel", "-d", tmp_path, cwd=project)
    [other] = tmp_path.glob("*.whl")
    assert other.name == wheel.name
    assert other.read_bytes() == wheel.read_bytes()


@pytest.fixture
def _installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes started from here have the installed package, which coverage must not count."""
    monkeypatch.setenv("PYTHONPATH", os.fspath(site))
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.mark.usefixtures("_installed")
def test_the_installed_package_serves_from_an_empty_folder(site: Path, tmp_path: Path) -> None:
    where = (sys.executable, "-c", "import taskchat; print(taskchat.__file__)")
    assert Path(run(*where, cwd=tmp_path).strip()).is_relative_to(site)
    ready_file = tmp_path / "ready.json"
    with fresh_running(
        *("dev", "--ephemeral", "--port", "0", "--ready-file", str(ready_file)), cwd=tmp_path
    ) as process:
        told = ready(ready_file, process)
        answer = httpx.post(
            f"{told['url']}/api/demo/chat",
            json={"message": "Add task: Buy groceries"},
            headers={"Authorization": f"Bearer {told['token']}"},
            timeout=BUILD_S,
        )
        assert answer.status_code == 200, answer.text
        [call] = answer.json()["tool_calls"]
        assert call["status"] == "completed"


@pytest.mark.usefixtures("_installed")
def test_the_installed_command_writes_the_contracts(site: Path, tmp_path: Path) -> None:
    written = run(site / "bin/taskchat", "contracts", cwd=tmp_path).split()
    assert {path.name for path in (tmp_path / "contracts").iterdir()} == {
        Path(path).name for path in written
    }


@pytest.mark.usefixtures("_installed")
def test_the_installed_package_brings_its_plugin_to_pytest(site: Path, tmp_path: Path) -> None:
    helped = run(sys.executable, "-m", "pytest", "--help", cwd=tmp_path)
    assert "--taskchat-url=URL" in helped
    assert (site / "taskchat_pytest/py.typed").exists()
