"""Types for TypeScript, from the committed contract: clients/typescript/taskchat.d.ts.

`make types` writes them; a test holds that they are fresh.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.clients import node

PROJECT: Final = Path(__file__).resolve().parent.parent

CONTRACT: Final = PROJECT / "contracts/chat-endpoint.json"

TYPES: Final = PROJECT / "clients/typescript/taskchat.d.ts"

GENERATOR: Final = "openapi-typescript/bin/cli.js"

OPTIONS: Final = (
    # `import type { Event } from …`, by the names of the contract.
    *("--root-types", "--root-types-no-schema-prefix", "--root-types-keep-casing"),
)

UNTYPED: Final = frozenset({"example", "examples", "title"})
"""What says nothing of a type; with it the file would be twice as long."""


def types() -> str:
    """The types that belong to the committed contract.

    Raises:
        RuntimeError: the generator can't be installed, or fails.
    """
    contract = json.loads(CONTRACT.read_text(encoding="utf-8"))
    generator = node.install() / GENERATOR
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "contract.json"), Path(folder, "types.d.ts")
        source.write_text(json.dumps(typed(contract)), encoding="utf-8")
        done = subprocess.run(
            [str(node.node()), str(generator), str(source), "-o", str(made), *OPTIONS],
            cwd=folder,
            env=node.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"openapi-typescript failed:\n{done.stdout}{done.stderr}")
        return made.read_text(encoding="utf-8")


def typed(contract: dict[str, Any]) -> dict[str, Any]:
    """The contract without what says nothing of its types.

    What has a default is in every answer, and may be left out of a request: the generator knows the
    first, and hears of the second by not hearing of the default.
    """
    schemas = contract["components"]["schemas"]
    requests = [
        operation["requestBody"]
        for methods in contract["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    sent, named = set[str](), {"ClientFrame"} | _named(requests)
    while named:
        sent |= named
        named = _named([schemas[name] for name in named]) - sent
    pared: dict[str, Any] = _without(UNTYPED, contract)
    for name in sent:
        pared["components"]["schemas"][name] = _without(UNTYPED | {"default"}, schemas[name])
    return pared


def _named(parts: list[Any]) -> set[str]:
    """The schemas that they refer to."""
    return set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(parts)))


def _without(keys: frozenset[str], part: Any, *, names: bool = False) -> Any:
    """A part of the contract without these keys, unless they are names that the API gives."""
    if isinstance(part, list):
        return [_without(keys, one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _without(keys, value, names=key == "properties" and not names)
        for key, value in part.items()
        if names or key not in keys
    }


if __name__ == "__main__":
    TYPES.write_text(types(), encoding="utf-8")
