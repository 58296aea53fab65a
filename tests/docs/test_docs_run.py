"""The docs are true: commands run, JSON has the shape that is shown, snippets work, links lead on.

Of the fenced blocks in a page, `sh` is executed, `json` behind it is compared with what it printed,
`python` is executed, and of `console`, which can't run here, the commands must at least exist.
"""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, get_args

import click
import pytest
from prometheus_client import Counter, Gauge, Histogram
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.pool import NullPool
from tests.conftest import JWT_SECRET, RunningApp
from tests.e2e.processes import ready, running
from tests.factories import Person
from tests.faults.checker import INVARIANTS

from taskchat import errors, tables
from taskchat.commands.cli import main as commands
from taskchat.errors import ServiceError
from taskchat.housekeeping.chores import chores_of
from taskchat.postgres.connect import open_engine
from taskchat.settings import Settings
from taskchat.telemetry import metrics
from taskchat.transports.socket.frames import ClientFrame, ServerFrame
from taskchat.turns.events import EventBase, StoredEvent

PROJECT = Path(__file__).resolve().parent.parent.parent
PAGES = [
    page.relative_to(PROJECT).as_posix()
    for page in (
        PROJECT / "README.md",
        PROJECT / "contracts/README.md",
        PROJECT / "examples/README.md",
        *sorted(PROJECT.glob("docs/**/*.md")),
    )
]
COMMAND_S = 120
"""Longer than any command of the docs takes."""

COMMAND = str(Path(sys.executable).with_name("taskchat"))

LANGUAGES = {
    "sh",
    "json",
    "python",
    "javascript",
    "typescript",
    "console",
    "text",
    "sql",
    "mermaid",
    "yaml",
}

VARIES = re.compile(
    r"(\bid|_id|CallId|\.of|_at|_ms|_token|\.token|\.secret|user_agent|\.day|\.next_cursor|\.response|\.reply|"
    r"\.content)$"
)
"""Values that are never the same twice, or that the model words as it likes."""

METHODS = {"get", "post", "put", "patch", "delete"}


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        page: Where.
        line: Of its opening fence, from 1.
        language: What stands behind the fence.
        body: What is in it.
    """

    page: str
    line: int
    language: str
    body: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def read(page: str) -> str:
    return (PROJECT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    content = read(page)
    return [
        Block(page, content.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in re.finditer(r"^```([a-z]*)\n(.*?)^```$", content, re.MULTILINE | re.DOTALL)
    ]


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)


def pages_with(language: str) -> list[str]:
    return [page for page in PAGES if any(block.language == language for block in blocks(page))]


# --- a service to run them against ---


@dataclass(frozen=True)
class Service:
    """A running `taskchat dev`."""

    url: str
    database_url: str
    folder: Path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("docs")
    written = folder / "ready.json"
    serving = ("dev", "--ephemeral", "--port", "0", "--ready-file", str(written))
    with running(*serving, cwd=folder, env={"TASKCHAT_JWT_SECRET": JWT_SECRET}) as process:
        facts = ready(written, process)
        yield Service(facts["url"], facts["database_url"], folder)
    assert process.returncode == 0, "SIGTERM ends it in order"


class Reader:
    """Somebody who follows one page: their own user, and the ids of their last answer."""

    def __init__(self, service: Service) -> None:
        self._person = Person()
        self._service = service
        token = self._person.headers["Authorization"].removeprefix("Bearer ")
        self.variables = {
            "URL": service.url,
            "TOKEN": token,
            "TASKCHAT_URL": service.url,
            "TASKCHAT_TOKEN": token,
            "DATABASE_URL": service.database_url,
            "TASKCHAT_JWT_SECRET": JWT_SECRET,
            # What commands keep for their user.
            "XDG_CONFIG_HOME": str(service.folder),
            "PATH": f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, block: Block) -> str:
        """What the block prints; it must end with 0."""
        script = block.body.replace("http://127.0.0.1:8000", "$URL").replace(
            "/api/demo/", f"/api/{self._person.user_id}/"
        )
        done = subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=self._service.folder,
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
        )
        assert done.returncode == 0, f"{block.where}: {done.stdout}{done.stderr}"
        return done.stdout

    def note(self, answer: Any) -> None:
        """Keep the ids that later commands name."""
        if not isinstance(answer, dict):
            return
        named = [("CONVERSATION", "conversation_id"), ("TURN", "turn_id"), ("LINK", "token")]
        named += [(name, name.lower()) for name in ("USER_ID", "ACCESS_TOKEN", "REFRESH_TOKEN")]
        if "secret" in answer:
            named.append(("WEBHOOK", "id"))
        if "token" in answer:
            named.append(("SHARE", "id"))
        for variable, key in named:
            if isinstance(answer.get(key), str):
                self.variables[variable] = answer[key]
        if "feedback" in answer and isinstance(answer["feedback"], dict):
            self.variables["FEEDBACK"] = answer["feedback"]["id"]
        if answer.get("messages"):
            said, reply = answer["messages"][-2:]
            self.variables |= {"MESSAGE": said["id"], "REPLY": reply["id"]}


def answers_in(output: str) -> list[Any]:
    """The JSON values that were printed one behind the other; none where it is no JSON."""
    decoder, found = json.JSONDecoder(), []
    while output.lstrip().startswith("{"):
        value, end = decoder.raw_decode(output.lstrip())
        found.append(value)
        output = output.lstrip()[end:]
    return found


def differences(shown: Any, real: Any, at: str = "") -> list[str]:
    """Where an answer is not as it is shown; ids, times, cursors and the reply's words may vary."""
    if isinstance(shown, dict) and isinstance(real, dict):
        if shown.keys() != real.keys():
            return [f"{at}: {sorted(shown)} is shown, {sorted(real)} came"]
        return [
            found for key in shown for found in differences(shown[key], real[key], f"{at}.{key}")
        ]
    if isinstance(shown, list) and isinstance(real, list):
        if len(shown) != len(real):
            return [f"{at}: {len(shown)} are shown, {len(real)} came"]
        return [
            found
            for place, pair in enumerate(zip(shown, real, strict=True))
            for found in differences(*pair, f"{at}[{place}]")
        ]
    if type(shown) is not type(real):
        return [f"{at}: {shown!r} is shown, {real!r} came"]
    if VARIES.search(at) or shown == real:
        return []
    return [f"{at}: {shown!r} is shown, {real!r} came"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="the docs speak curl")
@pytest.mark.parametrize("page", pages_with("sh"))
def test_the_commands_of_a_page_run_and_answer_what_it_shows(page: str, service: Service) -> None:
    reader = Reader(service)
    for block, following in pairwise([*blocks(page), Block(page, 0, "", "")]):
        if block.language != "sh":
            continue
        answers = answers_in(reader.run(block))
        for answer in answers:
            reader.note(answer)
        if following.language == "json":
            [real] = answers
            assert not differences(json.loads(following.body), real), following.where
        else:
            refused = [answer for answer in answers if answer.get("status") == "error"]
            assert not refused, block.where


SNIPPETS = [block for page in PAGES for block in blocks(page) if block.language == "python"]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda block: block.where)
def test_a_python_snippet_runs(snippet: Block, service: Service) -> None:
    done = subprocess.run(
        [sys.executable, "-c", snippet.body],
        cwd=service.folder,
        env={**os.environ, **Reader(service).variables},
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --- what is there is told of, and what is told of is there ---


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    assert not [block.where for block in blocks(page) if block.language not in LANGUAGES]


@pytest.mark.parametrize("page", PAGES)
def test_every_json_block_is_json_and_stands_behind_its_command(page: str) -> None:
    for before, block in pairwise([Block(page, 0, "", ""), *blocks(page)]):
        if block.language == "json":
            json.loads(block.body)
            assert before.language == "sh", block.where


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        found = (PROJECT / page).parent / path if path else PROJECT / page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    found = {PROJECT / "README.md"}
    while found - seen:
        page = min(found - seen)
        seen.add(page)
        if page.is_dir():
            found |= set(page.glob("*.md"))
        if page.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                found.add((page.parent / target).resolve())
    assert {PROJECT / page for page in PAGES} <= seen


def test_the_api_page_has_the_routes_of_the_contract_and_no_others() -> None:
    contract = json.loads(read("contracts/chat-endpoint.json"))
    routes = [
        f"{method.upper()} {path}"
        for path, operations in contract["paths"].items()
        for method in operations
        if method in METHODS
    ]
    told = re.findall(r"^### `([A-Z]+ /\S*)`$", read("docs/api.md"), re.MULTILINE)
    assert sorted(told) == sorted(routes)


def known_errors() -> set[tuple[str, str]]:
    """The status and the code of every error."""

    def tree(error: type[ServiceError]) -> Iterator[type[ServiceError]]:
        yield error
        for narrower in error.__subclasses__():
            yield from tree(narrower)

    return {
        (str(error.status), error.code)
        for error in tree(ServiceError)
        if error.__module__ == errors.__name__
    }


def test_the_api_page_has_every_error_with_its_status_and_no_others() -> None:
    told = re.findall(r"^\| (\d{3}) \| `([a-z_]+)` \|", read("docs/api.md"), re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == known_errors()


@pytest.mark.parametrize("name", ["protocols", "ai-sdk", "openai", "ag-ui", "page"])
def test_a_table_of_what_events_become_has_every_event(name: str) -> None:
    cells = re.findall(r"^\| ([^|]*`[a-z_]+`[^|]*) \|", read(f"docs/{name}.md"), re.MULTILINE)
    named = {word for cell in cells for word in re.findall(r"`([a-z_]+)`", cell)}
    types = {
        get_args(kind.model_fields["type"].annotation)[0] for kind in EventBase.__subclasses__()
    }
    assert types <= named


@pytest.mark.parametrize(
    ("before", "base"),
    [
        ("\n## Events\n", EventBase),
        ("**From the client**", ClientFrame),
        ("**From the server**", ServerFrame),
    ],
    ids=["events", "client", "server"],
)
def test_the_api_page_has_every_event_and_frame_with_its_fields_and_no_others(
    before: str, base: type[BaseModel]
) -> None:
    known = {
        get_args(kind.model_fields["type"].annotation)[0]: {
            f"{name}?" if base is ClientFrame and not field.is_required() else name
            for name, field in kind.model_fields.items()
            if name not in base.model_fields and name != "type"
        }
        for kind in base.__subclasses__()
    }
    table = read("docs/api.md").partition(before)[2].partition("| --- |")[2].partition("\n\n")[0]
    told = {
        kind: set(re.findall(r"`(\w+\??)`", fields))
        for kind, fields in re.findall(r"^\| `(\w+)` \| (.*?) ?\| ", table, re.MULTILINE)
    }
    assert told == known


def test_the_api_page_has_every_code_that_a_socket_is_closed_with() -> None:
    used = {
        code
        for module in (PROJECT / "src").glob("**/*.py")
        for code in re.findall(r"\b[Cc]losed?[(,]\s*(\d{4})\b", module.read_text(encoding="utf-8"))
    }
    told = re.findall(r"^\| (\d{4}) \|", read("docs/api.md"), re.MULTILINE)
    assert len(told) == len(set(told))
    # Those of the protocol are partly the library's.
    assert used <= set(told)
    assert {code for code in told if code.startswith("4")} <= used


def test_the_operations_page_has_every_metric_with_its_type_and_labels() -> None:
    known = {
        (
            f"{made._name}_total" if isinstance(made, Counter) else made._name,
            type(made).__name__.lower(),
            tuple(made._labelnames),
        )
        for made in vars(metrics).values()
        if isinstance(made, Counter | Gauge | Histogram)
    }
    assert known
    section = read("docs/operations.md").partition("\n## Metrics\n")[2].partition("\n## ")[0]
    told = [
        (name, kind, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(
            r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| ", section, re.MULTILINE
        )
    ]
    assert sorted(told) == sorted(known)


def test_the_operations_page_has_every_chore() -> None:
    section = read("docs/operations.md").partition("\n## Housekeeping\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [
        chore.name for chore in chores_of(Settings(_env_file=None))
    ]


def test_the_data_model_has_every_table_with_every_column() -> None:
    sections = dict(
        re.findall(
            r"^## `(\w+)`\n(.*?)(?=^## |\Z)", read("docs/data-model.md"), re.MULTILINE | re.DOTALL
        )
    )
    assert {
        name: {column.name for column in table.columns}
        for name, table in tables.metadata.tables.items()
    } == {
        name: {
            column
            for row in re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
            for column in re.findall(r"`(\w+)`", row)
        }
        for name, section in sections.items()
    }


async def test_the_data_model_has_every_policy_and_role(service: Service) -> None:
    engine = open_engine(service.database_url, poolclass=NullPool)
    async with engine.connect() as connection:
        policies = set(
            (await connection.execute(text("SELECT policyname, roles[1] FROM pg_policies"))).all()
        )
    await engine.dispose()
    assert policies
    page = read("docs/data-model.md")
    missing = [name for names in policies for name in names if f"`{name}`" not in page]
    assert not missing


def test_the_commands_page_has_every_command_with_every_option() -> None:
    rows = dict(
        re.findall(r"^\| `taskchat (\w+)` \| (.*) \|$", read("docs/commands.md"), re.MULTILINE)
    )
    assert rows.keys() == commands.commands.keys()
    for name, command in commands.commands.items():
        options = {
            option
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for option in parameter.opts
        }
        assert options == set(re.findall(r"`(--[a-z-]+)`", rows[name])), name


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_no_command_that_does_not_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for block in blocks(page):
        if block.language in {"console", "sh"}:
            assert set(re.findall(r"\bmake ([a-z-]+)", block.body)) <= targets, block.where
            for name, words in re.findall(r"\btaskchat ([a-z]+)([^)\n]*)", block.body):
                commands.commands[name].make_context(name, words.split())
    named = set(re.findall(r"`taskchat ([a-z]+)", prose(page)))
    assert named <= commands.commands.keys()
    assert set(re.findall(r"`make ([a-z-]+)", prose(page))) <= targets


def test_every_log_event_is_on_the_operations_page_and_no_others() -> None:
    logged = {
        event
        for module in (PROJECT / "src").glob("**/*.py")
        for event in re.findall(
            r"\b(?:log|rendered)\.(?:debug|info|warning|error|exception)\(\s*f?[\"']([^\"']+)[\"']",
            module.read_text(encoding="utf-8"),
        )
    }
    assert "turn.{ended.status}" in logged
    logged |= {"turn.completed", "turn.failed", "turn.awaiting_feedback"}
    logged.remove("turn.{ended.status}")
    section = read("docs/operations.md").partition("\n## Logs\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z_.]+)` \|", section, re.MULTILINE)) == logged


def test_every_contract_is_in_their_readme() -> None:
    files = {path.name for path in (PROJECT / "contracts").iterdir()} - {"README.md"}
    assert set(re.findall(r"^\| `([^`]+)` \|", read("contracts/README.md"), re.MULTILINE)) == files


NUMBERS = "none one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
NUMBERS += "fifteen sixteen seventeen eighteen nineteen twenty twenty-one twenty-two twenty-three "
NUMBERS += "twenty-four twenty-five twenty-six twenty-seven twenty-eight twenty-nine thirty "
NUMBERS += "thirty-one thirty-two thirty-three thirty-four thirty-five"


@pytest.mark.parametrize(
    ("what", "count", "least"),
    [
        (r"(\w+)\s+invariants", INVARIANTS, 2),
        (r"([\w-]+) tables, all", len(tables.metadata.tables), 1),
        (
            r"\b(?:of|the)\s+(\w+) (?:task )?tools",
            len(json.loads(read("contracts/mcp-tools.json"))["tools"]),
            3,
        ),
    ],
    ids=["invariants", "tables", "tools"],
)
def test_what_is_counted_in_words_is_as_many(what: str, count: int, least: int) -> None:
    words = NUMBERS.split()
    told = [
        number
        for page in [*PAGES, "Makefile"]
        if page != "docs/changelog.md"
        for number in re.findall(rf"{what}\b", read(page))
        if number.lower() in words
    ]
    assert len(told) >= least, "it is told elsewhere by now"
    assert {number.lower() for number in told} == {words[count]}


OF_THIS_TURN: ContextVar[bool] = ContextVar("of_this_turn", default=False)


async def test_the_reading_line_is_the_order_in_which_a_turn_enters_the_modules(
    offline_app: RunningApp,
) -> None:
    [line] = re.findall(
        r"^(`transports/answering` → .*?`turns/store/settle`)$",
        read("docs/developing.md"),
        re.M | re.S,
    )
    modules = re.findall(r"`([a-z_/]+)`", line)
    files = {str(PROJECT / f"src/taskchat/{name}.py"): name for name in modules}
    plain = {name for name in modules if "async def" not in read(f"src/taskchat/{name}.py")}
    entered: dict[str, str] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        name = files.get(code.co_filename)
        # The steps are coroutines; what they ask each other on the way is not.
        if event != "call" or name is None or not OF_THIS_TURN.get():
            return
        if code.co_flags & inspect.CO_COROUTINE or name in plain:
            entered.setdefault(name, code.co_name)

    person = Person()
    # Only a later turn of a conversation has a past to read.
    first = await person.say(offline_app.client, "Hello")
    OF_THIS_TURN.set(True)
    sys.setprofile(note)
    try:
        await person.say(
            offline_app.client,
            "Add task: Buy groceries",
            conversation_id=first.json()["conversation_id"],
        )
    finally:
        sys.setprofile(None)
    assert list(entered) == modules, entered


async def test_the_line_of_an_event_is_the_order_in_which_one_enters_the_modules(
    offline_app: RunningApp,
) -> None:
    [line] = re.findall(
        r"^(`turns/ledger` → .*?`transports/sse`)$", read("docs/developing.md"), re.M | re.S
    )
    modules = re.findall(r"`([a-z_/]+)`", line)
    files = {str(PROJECT / f"src/taskchat/{name}.py"): name for name in modules}
    entered: dict[str, str] = {}

    def holds(value: object, depth: int = 3) -> bool:
        if isinstance(value, list | tuple) and depth:
            return any(holds(part, depth - 1) for part in value)
        return isinstance(value, StoredEvent) and value.type == "openai_call"

    def note(frame: FrameType, event: str, result: object) -> None:
        name = files.get(frame.f_code.co_filename)
        if name is None or event not in {"call", "return"}:
            return
        # It begins when the model is about to be asked; from then on it is handed on.
        given = [*frame.f_locals.values()] if event == "call" else [result]
        if frame.f_code.co_name == "asking" or any(holds(value) for value in given):
            entered.setdefault(name, frame.f_code.co_name)

    person = Person()
    sys.setprofile(note)
    try:
        answer = await offline_app.client.post(
            person.chat_path,
            json={"message": "Hello"},
            headers=person.headers | {"Accept": "text/event-stream"},
        )
    finally:
        sys.setprofile(None)
    assert "event: openai_call" in answer.text
    assert list(entered) == modules, entered


def test_the_architecture_page_has_the_layers_that_imports_are_held_to() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    contract = project["tool"]["importlinter"]["contracts"][0]
    section = read("docs/architecture.md").partition("\n## The layers\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
    assert [re.findall(r"`(\w+)/?`", row) for row in rows] == [
        layer.split(" | ") for layer in contract["layers"]
    ]


def test_every_dependency_has_its_reason_on_record() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    serving = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["embedded"],
        *project["project"]["optional-dependencies"]["otel"],
    ]
    for page, wanted in (
        ("0004-dependencies", serving),
        ("0042-dependencies-of-tests-and-tools", project["dependency-groups"]["dev"]),
    ):
        names = [re.split(r"[\[<>=]", requirement)[0] for requirement in wanted]
        record = read(f"docs/decisions/{page}.md")
        assert not [
            name for name in names if not name.startswith("types-") and f"`{name}`" not in record
        ]


def test_decisions_are_numbered_without_gaps_and_fit_on_a_screen() -> None:
    records = sorted((PROJECT / "docs/decisions").glob("*.md"))
    assert [record.name[:5] for record in records] == [
        f"{number:04}-" for number in range(1, len(records) + 1)
    ]
    for record in records:
        content = record.read_text(encoding="utf-8")
        assert len(content.splitlines()) <= 30, record.name
        for part in ("**Context.**", "**Decision.**", "**Consequence.**"):
            assert part in content, record.name
