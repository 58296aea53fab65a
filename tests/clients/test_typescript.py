"""The types for TypeScript are those of the contract, and the compiler makes good use of them."""

import shutil
from pathlib import Path

import pytest
from scripts import typescript_types
from tests.clients import node
from tests.conftest import RunningApp
from tests.examples.programs import run, told
from tests.factories import Person
from tests.live.served import served


@pytest.fixture(scope="module")
def folder(node_modules: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of somebody else's, with the types, the example and the packages that it needs."""
    folder = tmp_path_factory.mktemp("typescript")
    for part in ("clients/typescript", "examples"):
        shutil.copytree(project / part, folder / part)
    (folder / "node_modules").symlink_to(node_modules)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    for name in ("tsconfig.json", "uses.ts"):
        shutil.copy(node.HERE / "typescript" / name, folder)
    return folder


def test_the_types_are_those_of_the_contract(node_modules: Path) -> None:
    assert typescript_types.TYPES.read_text(encoding="utf-8") == typescript_types.types(), (
        "run: make types"
    )


@pytest.mark.long
async def test_the_compiler_takes_what_is_right_and_refuses_what_is_wrong(folder: Path) -> None:
    await run(
        *(node.node(), "node_modules/typescript/bin/tsc", "--project", "."),
        folder=folder,
        variables={},
    )


async def test_the_example_runs_as_it_is(folder: Path, offline_app: RunningApp) -> None:
    async with served(offline_app) as url:
        printed = await run(
            *(node.node(), "examples/typescript.ts", "Add task: Milk"),
            folder=folder,
            variables=told(url, Person()),
        )
    took, reply, task = printed.splitlines()
    assert took.startswith("add_task took ")
    assert reply == "Added “Milk”. 1"
    assert task == "1 Milk false"
