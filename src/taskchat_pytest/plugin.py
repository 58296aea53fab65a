"""What pytest is told: the options, the fixtures, and the log of a service beside failures."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

from taskchat_pytest.running import NoService, end_of, found, started
from taskchat_pytest.server import TaskchatServer, TaskchatUser

_SERVER: Final = pytest.StashKey[TaskchatServer]()

START_S: Final = "120"
"""Much longer than a slow machine takes; then something is wrong."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, which are ini options too; the command line goes first."""
    group = parser.getgroup("taskchat", "a taskchat service for tests")
    group.addoption(
        "--taskchat-url",
        metavar="URL",
        help="Test against this running service instead of starting one.",
    )
    group.addoption(
        "--taskchat-setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="A setting of the service, as docs/operations.md has them. NAME alone takes its value "
        "from the environment. Can be given more than once.",
    )
    group.addoption(
        "--taskchat-script",
        metavar="FILE",
        help="What the model says to messages that bring no script of their own.",
    )
    parser.addini("taskchat_url", "As --taskchat-url.")
    parser.addini("taskchat_settings", "As --taskchat-setting, one a line.", type="linelist")
    parser.addini("taskchat_script", "As --taskchat-script, from the folder of pytest's root.")
    parser.addini(
        "taskchat_start_s", "Seconds that the service may take to start.", default=START_S
    )


@pytest.fixture(scope="session")
def taskchat_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TaskchatServer]:
    """A real service, started when the first test asks for it; processes of a run share one."""
    config = request.config
    try:
        settings = _settings(config)
        url = config.getoption("taskchat_url") or config.getini("taskchat_url")
        if url:
            config.stash[_SERVER] = found(url, settings)
            yield config.stash[_SERVER]
            return
        folder = tmp_path_factory.getbasetemp()
        if hasattr(config, "workerinput"):
            # With pytest-xdist each worker has a folder of its own in that of the run.
            folder = folder.parent
        start_s = float(config.getini("taskchat_start_s"))
        with started(folder / "taskchat", settings, start_s=start_s) as server:
            config.stash[_SERVER] = server
            yield server
    except NoService as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def taskchat_user(taskchat_server: TaskchatServer) -> TaskchatUser:
    """A new user of the service."""
    return taskchat_server.new_user()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the end of the service's log beside what a failing test says."""
    report = yield
    server = item.config.stash.get(_SERVER, None)
    if report.failed and server is not None and "taskchat_server" in _fixtures_of(item):
        report.sections.append(("The end of taskchat's log", end_of(server.log)))
    return report


def _fixtures_of(item: pytest.Item) -> list[str]:
    names: list[str] = getattr(item, "fixturenames", [])
    return names


def _settings(config: pytest.Config) -> dict[str, str]:
    """The settings of the service; those of the command line count more than those of the ini."""
    settings = {}
    for given in [*config.getini("taskchat_settings"), *config.getoption("taskchat_setting")]:
        name, equals, value = given.partition("=")
        if not equals and name not in os.environ:
            raise NoService(
                f"The setting {name} has no value: give --taskchat-setting {name}=VALUE, or export "
                f"{name}."
            )
        settings[name.strip()] = value.strip() if equals else os.environ[name]
    script = _script(config)
    if script is not None:
        from taskchat.assistant.models.scripted.reading import ScriptInvalid, read_script

        try:
            read_script(script)
        except ScriptInvalid as error:
            raise NoService(f"The script {script} {error}.") from None
        settings["TASKCHAT_SCRIPT"] = str(script)
    return settings


def _script(config: pytest.Config) -> Path | None:
    given: str | None = config.getoption("taskchat_script")
    if given:
        return config.invocation_params.dir / given
    configured: str = config.getini("taskchat_script")
    return config.rootpath / configured if configured else None
