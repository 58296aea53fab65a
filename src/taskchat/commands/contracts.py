"""The contracts that are written from the code: the HTTP interface and the tools."""

import json
from pathlib import Path
from typing import Any

from mcp import Client

from taskchat.app import create_app
from taskchat.settings import OFFLINE, Settings
from taskchat.tasks.tools import TaskServer


async def contracts() -> dict[str, str]:
    """The text of each file by name."""
    # Built from fixed settings, so that whoever runs it gets the same files.
    app = create_app(Settings(_env_file=None, model=OFFLINE, accounts=True))
    async with Client(TaskServer()) as client:
        tools = (await client.list_tools()).tools
    return {
        "chat-endpoint.json": _text(app.openapi()),
        "mcp-tools.json": _text(
            {
                "server": "taskchat",
                "tools": [
                    tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools
                ],
            }
        ),
    }


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def differing(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Names of files that are missing or differ."""
    return [
        name
        for name, text in wanted.items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text
    ]


def write(folder: Path, wanted: dict[str, str]) -> None:
    """Write every file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
