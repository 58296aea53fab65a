"""Services that a test run starts: one for all of its processes, and none is left behind."""

import asyncio
import os
import re
import signal
from pathlib import Path
from urllib.parse import unquote

import psutil
import pytest
from tests.conftest import JWT_SECRET, MakeDatabase
from tests.pytest_plugin.runs import RUN_S, command, environment, folder_with, noted, run

NOTES_ITS_SERVICE = """
import json, os, urllib.request
from pathlib import Path

HERE = Path(__file__).parent

def test_the_service_answers(taskchat_server, taskchat_user):
    facts = json.loads((taskchat_server.log.parent / "ready.json").read_text())
    request = urllib.request.Request(
        f"{taskchat_server.url}/api/{taskchat_user.id}/tasks", headers=taskchat_user.headers
    )
    assert json.load(urllib.request.urlopen(request))["data"] == []
    with urllib.request.urlopen(f"{taskchat_server.url}/openapi.json") as answer:
        facts["routes"] = list(json.load(answer)["paths"])
    making = HERE / f"{os.getpid()}.making"
    making.write_text(json.dumps(facts))
    making.rename(HERE / f"noted-{os.getpid()}.json")
"""

WAITS = (
    NOTES_ITS_SERVICE
    + """
def test_it_is_killed():
    import time
    time.sleep(600)
"""
)


def is_there(path: str) -> bool:
    return os.path.exists(path)


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="the embedded Postgres needs another system")
async def test_processes_of_a_run_share_a_service_and_leave_nothing_behind(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path, NOTES_ITS_SERVICE, "taskchat_settings =\n  TASKCHAT_ACCOUNTS=false\n"
    )
    # What the developer has configured for their own service is none of the tests' business.
    mine = {"DATABASE_URL": "postgresql://nobody@nowhere.invalid/mine", "TASKCHAT_LEASE_S": "x"}
    ran = await run(folder, "--tx", "2*popen", "--dist=each", **mine)
    assert ran.counts(passed=2), ran.output
    first, second = noted(folder)
    assert first == second
    assert not psutil.pid_exists(first["pid"])
    assert "/api/auth/login" not in first["routes"], "the ini's setting is the service's"
    [database] = re.findall(r"host=([^&]+)", first["database_url"])
    assert not is_there(unquote(database)), "its Postgres has ended, too"


async def test_a_service_ends_with_a_run_that_is_killed(
    tmp_path: Path, migrated_database: MakeDatabase
) -> None:
    folder = folder_with(tmp_path, WAITS)
    settings = ("--taskchat-setting=DATABASE_URL", "--taskchat-setting=TASKCHAT_JWT_SECRET")
    async with migrated_database() as database_url, asyncio.timeout(RUN_S):
        process = await asyncio.create_subprocess_exec(
            *command(*settings),
            cwd=folder,
            env=environment({"DATABASE_URL": database_url, "TASKCHAT_JWT_SECRET": JWT_SECRET}),
            stdout=asyncio.subprocess.DEVNULL,
        )
        while not (facts := noted(folder)):
            assert process.returncode is None
            await asyncio.sleep(0.02)
        assert facts[0]["database_url"] == database_url
        service = psutil.Process(facts[0]["pid"])
        process.send_signal(signal.SIGKILL)
        await process.wait()
        while service.is_running() and service.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_no_service_is_started_or_imported_before_a_test_asks_for_one(tmp_path: Path) -> None:
    tests = """
import sys

def test_nothing(tmp_path_factory):
    assert not {"taskchat", "pydantic", "fastapi", "sqlalchemy"} & set(sys.modules)
    assert not (tmp_path_factory.getbasetemp() / "taskchat").exists()
"""
    ran = await run(folder_with(tmp_path, tests))
    assert ran.counts(passed=1), ran.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--taskchat-setting", "TASKCHAT_DB_POOL_SIZE=0"],
            [
                "taskchat ended with 2 before it served",
                "--taskchat-setting NAME=VALUE",
                "taskchat: TASKCHAT_DB_POOL_SIZE",
            ],
        ),
        (
            ["--taskchat-script", "nowhere.yaml"],
            ["The script /", "/nowhere.yaml can't be read: No such file"],
        ),
        (["--taskchat-setting", "NOT_SET"], ["NOT_SET has no value", "export NOT_SET"]),
        (
            ["--taskchat-url", "http://127.0.0.1:9"],
            ["No taskchat is ready at http://127.0.0.1:9", "Connection refused", "Start it, or"],
        ),
        (["--taskchat-url", "file:///etc/hostname"], ["no address of a service"]),
        (["-o", "taskchat_start_s=0"], ["did not serve within 0 s", "taskchat_start_s"]),
    ],
    ids=["setting", "script", "variable", "url", "scheme", "time"],
)
async def test_an_error_says_what_to_do(
    arguments: list[str], told: list[str], tmp_path: Path
) -> None:
    ran = await run(folder_with(tmp_path, NOTES_ITS_SERVICE), *arguments)
    assert ran.counts(error=1), ran.output
    for part in told:
        assert part in ran.output
    assert "Traceback" not in ran.output
    assert "During handling" not in ran.output
