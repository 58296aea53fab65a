"""Exports as tests read them, and files as they make them."""

import json
from typing import Any

import httpx
from tests.factories import Person

Line = dict[str, Any]

NDJSON = {"Content-Type": "application/x-ndjson"}
MOMENT = "2026-11-21T02:25:26.412822Z"


async def exported(client: httpx.AsyncClient, person: Person, path: str = "export") -> list[Line]:
    """The JSON lines of an export."""
    answer = await client.get(
        f"/api/{person.user_id}/{path}", params={"format": "jsonl"}, headers=person.headers
    )
    assert answer.status_code == 200, answer.text
    assert answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.splitlines()]


async def send(
    client: httpx.AsyncClient, person: Person, body: bytes | str | list[Line], **headers: str
) -> httpx.Response:
    """Import a file."""
    raw = written(body) if isinstance(body, list) else body
    return await client.post(
        f"/api/{person.user_id}/import", content=raw, headers=person.headers | NDJSON | headers
    )


async def imported(client: httpx.AsyncClient, person: Person, body: list[Line]) -> Line:
    """What an import answers that takes the whole file."""
    answer = await send(client, person, body)
    assert answer.status_code == 200, answer.text
    found: Line = answer.json()
    return found


def written(lines: list[Line]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def file_of(*lines: Line) -> list[Line]:
    """A whole file of these lines."""
    head = {"type": "export", "version": 1, "scope": "user", "exported_at": MOMENT}
    return [head, *lines, {"type": "end", "lines": 1 + len(lines)}]


def conversation_line(number: int = 1, turns: int = 1, **changes: Any) -> Line:
    id_ = f"0199f3a0-0000-7000-8000-{number:012}"
    return {
        "type": "conversation",
        "id": id_,
        "origin": id_,
        "title": f"Conversation {number}",
        "status": "active",
        "turn_count": turns,
        "summary": None,
        "summary_turn": 0,
        "archived": False,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    } | changes


def turn_line(conversation: int = 1, number: int = 1, **changes: Any) -> Line:
    def said(position: int, content: str) -> Line:
        id_ = f"0199f3a1-000{position}-7000-8000-{number:012}"
        return {"id": id_, "content": content, "created_at": MOMENT}

    return {
        "type": "turn",
        "id": f"0199f3a2-0000-7000-8000-{number:012}",
        "conversation_id": f"0199f3a0-0000-7000-8000-{conversation:012}",
        "number": number,
        "channel": "rest",
        "status": "completed",
        "message": said(0, f"Add task: T{number}"),
        "tool_calls": [
            {
                "id": f"0199f3a3-0000-7000-8000-{number:012}",
                "call_id": f"call_{number}",
                "tool_name": "add_task",
                "parameters": {"title": f"T{number}"},
                "result": {"task_id": number, "status": "created", "title": f"T{number}"},
                "status": "completed",
                "duration_ms": 1,
                "executed_at": MOMENT,
            }
        ],
        "reply": said(1, f"Added “T{number}”."),
        "error": None,
        "model": "offline",
        "usage": {"model_calls": 2, "input_tokens": 3, "output_tokens": 4},
        "model_calls": [],
        "created_at": MOMENT,
        "started_at": MOMENT,
        "finished_at": MOMENT,
    } | changes


def task_line(number: int = 1, **changes: Any) -> Line:
    return {
        "type": "task",
        "id": number,
        "origin": f"0199f3a4-0000-7000-8000-{number:012}",
        "title": f"T{number}",
        "description": "",
        "completed": False,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    } | changes
