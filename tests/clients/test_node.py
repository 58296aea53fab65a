"""The frame of these tests: a Node of their own, and packages by a lock that names no registry."""

import json
from pathlib import Path

from tests.clients import node
from tests.clients.conftest import RunNode

LOCK = json.loads((node.HERE / "package-lock.json").read_text(encoding="utf-8"))


def test_the_lock_names_hashes_and_no_registry() -> None:
    packages = {name: facts for name, facts in LOCK["packages"].items() if name}
    assert packages
    assert all("resolved" not in facts for facts in packages.values())
    assert all("integrity" in facts for facts in packages.values() if not facts.get("inBundle"))
    asked = json.loads((node.HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert all(version[0].isdigit() for version in asked.values())


async def test_programs_are_run_by_a_node_that_is_new_enough(
    run_node: RunNode, node_modules: Path
) -> None:
    program = node_modules / "version.mjs"
    program.write_text("console.log(process.versions.node)", encoding="utf-8")
    printed = await run_node("node_modules/version.mjs")
    assert int(printed.split(".")[0]) >= 22
