"""What others copy into their CI, run as far as that goes without an engine.

`make deploy-check` holds its files against their schemas.
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.conftest import MakeDatabase
from tests.e2e.processes import ready, running
from tests.examples.programs import EXAMPLES, run

CI = EXAMPLES / "ci"
COMPOSE: dict[str, Any] = yaml.safe_load((CI / "compose.yaml").read_text())
SERVICE: dict[str, Any] = COMPOSE["services"]["taskchat"]
JOBS: dict[str, Any] = yaml.safe_load((CI / "workflow.yaml").read_text())["jobs"]

INSTALLS = ("docker ", "pip ")
"""Commands that need an engine, or a checkout beside another one."""

ADDRESS = "http://127.0.0.1:8000"


def variables(environment: dict[str, Any]) -> dict[str, str]:
    """An environment as compose has it, where nothing else is set."""
    return {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
        for name, value in environment.items()
    }


@pytest.fixture(scope="module")
async def address(
    tmp_path_factory: pytest.TempPathFactory, migrated_database: MakeDatabase
) -> AsyncIterator[str]:
    """The service that compose.yaml describes, without the container, on a port that is free."""
    folder = tmp_path_factory.mktemp("ci")
    program, *arguments = SERVICE["command"]
    assert program == "taskchat"
    arguments[arguments.index("--port") + 1] = "0"
    arguments[arguments.index("--host") + 1] = "127.0.0.1"
    file = folder / "ready.json"
    async with migrated_database() as database_url:
        env = variables(SERVICE["environment"]) | {"DATABASE_URL": database_url}
        with running(*arguments, "--ready-file", str(file), cwd=folder, env=env) as process:
            yield ready(file, process)["url"]


def test_the_service_of_compose_is_healthy(address: str) -> None:
    _, python, *arguments = SERVICE["healthcheck"]["test"]
    assert python == "python"
    assert ADDRESS in arguments[-1]
    for where, code in ((address, 0), ("http://127.0.0.1:9", 1)):
        command = [argument.replace(ADDRESS, where) for argument in arguments]
        done = subprocess.run([sys.executable, *command], capture_output=True, check=False)
        assert done.returncode == code, done.stderr


@pytest.mark.parametrize("job", JOBS)
async def test_the_steps_of_a_job_pass(job: str, address: str, tmp_path: Path) -> None:
    shutil.copy(CI / "test_assistant.py", tmp_path)
    steps = [step["run"] for step in JOBS[job]["steps"] if "run" in step]
    [tests] = [step for step in steps if not step.startswith(INSTALLS)]
    assert len(steps) > 1
    options = "-p taskchat_pytest.plugin -p no:cacheprovider"
    if ADDRESS not in tests:
        # It would start one of its own, which has tests of its own.
        options += f" --taskchat-url {address} --taskchat-setting TASKCHAT_JWT_SECRET"
    environment = variables(SERVICE["environment"]) | JOBS[job].get("env", {})
    assert (
        environment["TASKCHAT_JWT_SECRET"]
        == variables(SERVICE["environment"])["TASKCHAT_JWT_SECRET"]
    )
    program, *arguments = shlex.split(tests.replace(ADDRESS, address))
    printed = await run(
        *(sys.executable, "-m", program, *arguments),
        folder=tmp_path,
        variables={
            "PYTEST_ADDOPTS": options,
            "TASKCHAT_JWT_SECRET": environment["TASKCHAT_JWT_SECRET"],
        },
    )
    assert "4 passed" in printed


def test_the_container_is_built_from_what_there_is_and_its_database_is_found() -> None:
    build = SERVICE["build"]
    assert build["context"].endswith(":-../..}")
    assert (CI / "../.." / build["dockerfile"]).is_file()
    postgres = COMPOSE["services"]["postgres"]["environment"]
    where = urlsplit(SERVICE["environment"]["DATABASE_URL"])
    assert where.hostname in COMPOSE["services"]
    assert where.password == postgres["POSTGRES_PASSWORD"]
