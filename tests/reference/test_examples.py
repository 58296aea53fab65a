"""Everything that can be sent and answered has an example, and each fits its schema."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.conftest import RunningApp
from tests.docs.test_docs_run import known_errors
from tests.factories import Person

from taskchat.app import create_app
from taskchat.reference.examples.texts import exported
from taskchat.settings import OFFLINE, Settings
from taskchat.turns.events import EVENT

DOCUMENT: dict[str, Any] = create_app(
    Settings(_env_file=None, model=OFFLINE, accounts=True)
).openapi()
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
BY_NAME = [pytest.param(operation, id=name) for name, operation in OPERATIONS]


def problems(example: Any, schema: dict[str, Any]) -> list[str]:
    """Why an example does not fit, by the document's own definitions."""
    whole = {**schema, "components": DOCUMENT["components"]}
    return [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(whole).iter_errors(example)
    ]


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each body that an operation takes or answers: where, its media type, what is said of it."""
    places = {"request": operation.get("requestBody", {}), **operation["responses"]}
    for where, place in places.items():
        for media_type, described in place.get("content", {}).items():
            yield where, media_type, described


def examples(described: dict[str, Any]) -> list[Any]:
    """The examples of a body: its own, else those of its schema."""
    if "example" in described:
        return [described["example"]]
    if "examples" in described:
        return [resolved(example)["value"] for example in described["examples"].values()]
    found: list[Any] = resolved(described["schema"]).get("examples", [])
    return found


def resolved(described: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to; itself if it is none."""
    if "$ref" not in described:
        return described
    found: Any = DOCUMENT
    for part in described["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


@pytest.mark.parametrize("operation", BY_NAME)
def test_every_body_of_a_route_has_examples_that_fit(operation: dict[str, Any]) -> None:
    for where, media_type, described in contents(operation):
        found = examples(described)
        assert found, f"{where} {media_type}: give its schema one in reference/examples"
        for example in found:
            assert not problems(example, described["schema"]), f"{where} {media_type}"


@pytest.mark.parametrize("operation", BY_NAME)
def test_what_a_route_must_be_told_in_its_address_has_an_example(
    operation: dict[str, Any],
) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter.get("required"):
            assert "example" in parameter, parameter["name"]
            assert not problems(parameter["example"], parameter["schema"]), parameter["name"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_has_examples_that_fit(name: str) -> None:
    assert SCHEMAS[name].get("examples"), "give it one in reference/examples"
    for example in SCHEMAS[name]["examples"]:
        assert not problems(example, SCHEMAS[name])


def test_every_error_has_an_example_with_its_code() -> None:
    shown = DOCUMENT["components"]["examples"]
    assert set(shown) == {code for _, code in known_errors()}
    for code, example in shown.items():
        assert example["value"]["error_code"] == code
        assert not problems(example["value"], SCHEMAS["ErrorBody"]), code


def test_every_error_but_that_of_a_wrong_method_is_told_at_some_route() -> None:
    told = {
        name
        for _, operation in OPERATIONS
        for _, _, described in contents(operation)
        for name in described.get("examples", {})
    }
    assert set(DOCUMENT["components"]["examples"]) - told == {"method_not_allowed"}


def test_an_error_stands_at_its_own_status() -> None:
    statuses = {code: status for status, code in known_errors()}
    for name, operation in OPERATIONS:
        for where, _, described in contents(operation):
            for code in described.get("examples", {}):
                assert statuses.get(code, where) == where, name


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "$ref" and isinstance(inner, str):
                    yield inner
                else:
                    yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        assert resolved({"$ref": reference}), reference


def test_the_stream_of_the_examples_is_made_of_events() -> None:
    [chat] = [operation for name, operation in OPERATIONS if name.endswith("}/chat")]
    text: str = chat["responses"]["200"]["content"]["text/event-stream"]["example"]
    blocks = [
        dict(line.split(": ", 1) for line in part.splitlines()) for part in text.split("\n\n")
    ]
    told = [block for block in blocks if "data" in block]
    assert [int(block["id"]) for block in told] == list(range(1, len(told) + 1))
    for block in told:
        assert EVENT.validate_json(block["data"]).type == block["event"]


async def test_the_export_of_the_examples_can_be_imported(offline_app: RunningApp) -> None:
    person = Person()
    answer = await offline_app.client.post(
        f"/api/{person.user_id}/import",
        content=exported("jsonl"),
        headers=person.headers | {"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["turns"] == {"added": 1, "known": 0}
    assert answer.json()["left_out"] == []


async def test_the_document_that_is_served_has_the_examples(offline_app: RunningApp) -> None:
    served = (await offline_app.client.get("/openapi.json")).json()
    assert served == json.loads(json.dumps(DOCUMENT))
