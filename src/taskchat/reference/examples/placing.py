"""Puts the examples into the OpenAPI document: schemas, parameters, texts and errors."""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from taskchat.reference.examples import around, events, openai, turns
from taskchat.reference.examples.bodies import BODIES
from taskchat.reference.examples.events import STREAM
from taskchat.reference.examples.failures import failures
from taskchat.reference.examples.story import (
    CONVERSATION,
    DELIVERY,
    FEEDBACK,
    MESSAGE,
    SCHEDULE,
    SESSION,
    SHARE,
    SHARE_TOKEN,
    TURN,
    USER,
    WEBHOOK,
)
from taskchat.reference.examples.texts import TEXTS
from taskchat.reference.examples.ui import CHAT, UI
from taskchat.transports.openai_http.shapes import MODEL

PARAMETERS: Final[dict[str, Any]] = {
    "user_id": USER,
    "conversation_id": str(CONVERSATION),
    "turn_id": str(TURN),
    "message_id": str(MESSAGE),
    "task_id": "1",
    "feedback_id": str(FEEDBACK),
    "share_id": str(SHARE),
    "schedule_id": str(SCHEDULE),
    "webhook_id": str(WEBHOOK),
    "delivery_id": str(DELIVERY),
    "session_id": str(SESSION),
    "chat_id": CHAT,
    "token": SHARE_TOKEN,
    "q": "groceries",
    "response_id": openai.RESPONSE.id,
    "model": MODEL,
}
"""What stands in addresses, by its name there."""

SCHEMAS: Final = "#/components/schemas/"

EVENT_SCHEMA: Final = {"$ref": f"{SCHEMAS}Event"}
"""What the streams of a turn's events carry."""


def illustrate(document: dict[str, Any]) -> None:
    """Give every schema, parameter, text and error of the document an example, in place."""
    components = document["components"]
    examples = {type(example).__name__: _shown(example) for example in _all()}
    examples |= {model.__name__: body for model, body in (BODIES | UI | openai.BODIES).items()}
    for name, schema in components["schemas"].items():
        if name in examples:
            schema["examples"] = [examples[name]]
    # What the others consist of has its example by now.
    for schema in components["schemas"].values():
        if "examples" not in schema:
            found = _composed(schema, components["schemas"])
            if found:
                schema["examples"] = found
    shown = failures()
    components["examples"] = shown
    components["schemas"]["ErrorBody"]["examples"] = [shown["not_found"]["value"]]
    for path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in PARAMETERS and parameter.get("required"):
                parameter["example"] = PARAMETERS[parameter["name"]]
        texts = next((found for ending, found in TEXTS.items() if path.endswith(ending)), {})
        for place in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media_type, described in place.get("content", {}).items():
                if media_type in texts and "examples" not in described:
                    described["example"] = texts[media_type]
                elif described["schema"].get("contentSchema") == EVENT_SCHEMA:
                    described["example"] = STREAM


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation of the document, with its path."""
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _all() -> Iterator[BaseModel]:
    yield from (*turns.EXAMPLES, *around.EXAMPLES, *events.EXAMPLES, *openai.EXAMPLES)


def _shown(example: BaseModel) -> dict[str, Any]:
    """As it is sent: what may be left out is, if it says nothing."""
    fields = type(example).model_fields
    told: dict[str, Any] = example.model_dump(mode="json")
    return {
        name: value
        for name, value in told.items()
        if value is not None or fields[name].is_required()
    }


def _composed(schema: dict[str, Any], schemas: dict[str, Any]) -> list[Any]:
    """The examples of a page, from those of what it lists; of a union, those of its members."""

    def of(part: dict[str, Any]) -> list[Any]:
        name = part.get("$ref", "").removeprefix(SCHEMAS)
        found: list[Any] = schemas.get(name, {}).get("examples", [])
        return found

    if "oneOf" in schema:
        return [example for part in schema["oneOf"] for example in of(part)[:1]]
    items = of(schema.get("properties", {}).get("data", {}).get("items", {}))
    return [{"data": items[:1], "has_more": False, "next_cursor": None}] if items else []
