"""What schemathesis has to be told about our contract; `schemathesis.toml` names this module."""

from typing import Any

import schemathesis

EVENT_STREAM = "text/event-stream"


@schemathesis.hook
def before_load_schema(_: schemathesis.HookContext, document: dict[str, Any]) -> None:
    """Leave out schemas of event streams.

    They describe the whole of a stream, as OpenAPI 3.1 has it; schemathesis takes them for what
    3.2 calls `itemSchema`, that of one event.
    """
    for methods in document["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                response.get("content", {}).get(EVENT_STREAM, {}).pop("schema", None)


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def lines(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """Lines are sent as they are."""
    return str(value).encode("utf-8", "surrogatepass")
