"""What is in deploy/ fits the service: its metrics, its settings, its files."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from prometheus_client import Counter, Gauge, Histogram
from scripts.deploy_check import queries

from taskchat.settings import Settings, variable_name
from taskchat.telemetry import metrics
from taskchat.transports.socket.connections import CLOSE_WAIT_S

CLOSE_S = 10
"""What a process needs after its drain, as docs/operations.md says."""

OTHERS = {"up", "process_resident_memory_bytes"}
"""Metrics of Prometheus itself and of its client."""

TARGET = {"job", "instance"}
"""Labels that Prometheus adds when it scrapes."""


@pytest.fixture(scope="module")
def deploy(project: Path) -> Path:
    return project / "deploy"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def alerts(deploy: Path) -> list[dict[str, Any]]:
    [group] = read(deploy / "prometheus/rules.yaml")["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def samples() -> dict[str, set[str]]:
    """The samples that a process has, with their labels."""
    found: dict[str, set[str]] = {name: set() for name in OTHERS}
    for made in vars(metrics).values():
        if not isinstance(made, Counter | Gauge | Histogram):
            continue
        labels, name = set(made._labelnames), made._name
        if isinstance(made, Counter):
            found[f"{name}_total"] = labels
        elif isinstance(made, Histogram):
            found |= {f"{name}_{part}": labels for part in ("count", "sum")}
            found[f"{name}_bucket"] = labels | {"le"}
        else:
            found[name] = labels
    return found


def named(query: str) -> Iterator[tuple[str, set[str]]]:
    """The samples that a query names, with the labels that it selects by."""
    for name, selected in re.findall(
        r"\b((?:taskchat|websocket|process)_[a-z_]+|up)\b(?:\{([^}]*)\})?", query
    ):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected))


def test_every_metric_and_label_that_is_asked_for_exists(deploy: Path) -> None:
    known = samples()
    asked = [rule["expr"] for rule in alerts(deploy)]
    asked += queries(deploy / "grafana/taskchat.json")
    found = [one for query in asked for one in named(query)]
    assert len(found) > len(asked)
    for name, labels in found:
        assert name in known, name
        assert labels <= known[name] | TARGET, (name, labels)


def test_every_metric_that_tells_of_work_is_on_the_dashboard(deploy: Path) -> None:
    shown = {
        name for query in queries(deploy / "grafana/taskchat.json") for name, _ in named(query)
    }
    left_out = {
        name
        for name in samples()
        if name not in shown
        and not name.endswith(("_sum", "_count"))
        # Watched by an alert, or told by what is shown beside it.
        and name not in {one for rule in alerts(deploy) for one, _ in named(rule["expr"])}
    }
    assert left_out <= {
        "taskchat_connections_refused_total",
        "taskchat_leases_lapsed_total",
        "taskchat_chore_rows_total",
        "taskchat_chore_runs_total",
        "taskchat_chore_seconds_bucket",
        "taskchat_embeddings_total",
        "taskchat_embedding_failures_total",
        "taskchat_webhooks_paused_total",
        "taskchat_webhook_seconds_bucket",
    }


def test_every_alert_has_a_first_look_and_says_whom_it_wakes(deploy: Path, project: Path) -> None:
    page = (project / "docs/deployment.md").read_text(encoding="utf-8")
    names = [rule["alert"] for rule in alerts(deploy)]
    assert re.findall(r"^\| `(Taskchat\w+)` \|", page, re.MULTILINE) == names
    for rule in alerts(deploy):
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"].endswith(".")


def test_the_panels_of_the_dashboard_lie_side_by_side(deploy: Path) -> None:
    panels = json.loads((deploy / "grafana/taskchat.json").read_text(encoding="utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_a_process_is_given_the_time_that_it_takes_to_stop(deploy: Path) -> None:
    settings = Settings(_env_file=None)
    pod = read(deploy / "kubernetes/deployment.yaml")["spec"]["template"]["spec"]
    configured = read(deploy / "kubernetes/configmap.yaml")["data"]
    drain_s = float(configured["TASKCHAT_DRAIN_TIMEOUT_S"])
    [container] = pod["containers"]
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= pause_s + drain_s + CLOSE_S
    service = read(deploy / "compose/compose.yaml")["services"]["taskchat"]
    assert int(service["stop_grace_period"].rstrip("s")) >= settings.drain_timeout_s + CLOSE_S
    assert CLOSE_WAIT_S < CLOSE_S


def test_what_is_configured_are_settings(deploy: Path) -> None:
    known = {variable_name(field) for field in Settings.model_fields}
    configured = set(read(deploy / "kubernetes/configmap.yaml")["data"])
    service = read(deploy / "compose/compose.yaml")["services"]["taskchat"]
    assert configured
    assert configured | set(service["environment"]) <= known


def test_a_probe_waits_for_longer_than_what_it_asks_may_take(deploy: Path) -> None:
    [container] = read(deploy / "kubernetes/deployment.yaml")["spec"]["template"]["spec"][
        "containers"
    ]
    probe = container["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert probe["timeoutSeconds"] > Settings(_env_file=None).statement_timeout_s
    # A database that is away must not have every process restarted.
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_every_manifest_is_applied_as_nobody_in_particular(deploy: Path) -> None:
    folder = deploy / "kubernetes"
    files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(read(folder / "kustomization.yaml")["resources"]) == files
    for name in ("deployment.yaml", "migrate.yaml"):
        pod = read(folder / name)["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_image_is_of_a_python_that_the_package_is_for(deploy: Path, project: Path) -> None:
    dockerfile = (deploy / "Dockerfile").read_text(encoding="utf-8")
    [version] = re.findall(r"^ARG PYTHON=python:([\d.]+)-", dockerfile, re.MULTILINE)
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    [fits] = re.findall(r'^requires-python = "(.+)"$', text, re.MULTILINE)
    assert SpecifierSet(fits).contains(f"{version}.0")
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["10001:10001"]


def test_what_the_wheel_is_built_from_gets_into_the_image_and_no_secret_does(
    deploy: Path, project: Path
) -> None:
    lines = (deploy / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    let_in = {line[1:] for line in lines if line.startswith("!")}
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    forced = text.partition("[tool.hatch.build.targets.wheel.force-include]\n")[2].split("\n\n")[0]
    for path in re.findall(r'^"(.+?)" =', forced, re.MULTILINE):
        assert path in let_in
    assert {"src", "pyproject.toml", "requirements.lock", "requirements-dev.lock"} <= let_in
    assert all((project / path).exists() for path in let_in)
