"""Whole conversations against a simulation of the five tools: what is said, what must happen."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agents.items import TResponseInputItem
from agents.model_settings import ModelSettings
from agents.models.interface import ModelTracing
from agents.tool import FunctionTool, Tool
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage

from taskchat.assistant.models.offline import OfflineModel
from taskchat.commands.evaluation.cases import Call, Case, made_call, problem_of, read_cases

DATA = Path(__file__).parent / "data"
MODEL_CALLS_MAX = 6


async def _never(context: Any, arguments: str) -> str:
    raise AssertionError("the model calls tools, it does not run them")


TOOLS: list[Tool] = [
    FunctionTool(name=name, description="", params_json_schema={}, on_invoke_tool=_never)
    for name in ("add_task", "list_tasks", "complete_task", "delete_task", "update_task")
]


@dataclass
class Row:
    id: int
    title: str
    description: str
    completed: bool


class Desk:
    """The five tools over a list in memory, and one conversation with the offline model."""

    def __init__(self, tasks: Sequence[dict[str, Any]]) -> None:
        self.rows = [
            Row(number, task["title"], task.get("description", ""), task.get("completed", False))
            for number, task in enumerate(tasks, start=1)
        ]
        self.created = len(self.rows)
        self.items: list[TResponseInputItem] = []

    def run(self, name: str, arguments: dict[str, Any]) -> str:
        if name == "list_tasks":
            status = arguments.get("status", "all")
            shown = [
                {"id": r.id, "title": r.title, "description": r.description,
                 "completed": r.completed}
                for r in self.rows
                if status == "all" or r.completed == (status == "completed")
            ]  # fmt: skip
            return json.dumps({"tasks": shown, "total": len(shown)})
        if name == "add_task":
            self.created += 1
            title, description = arguments["title"], arguments.get("description", "")
            self.rows.append(Row(self.created, title, description, completed=False))
            return json.dumps({"task_id": self.created, "status": "created", "title": title})
        row = next((r for r in self.rows if r.id == arguments["task_id"]), None)
        if row is None:
            return f"No task {arguments['task_id']}. Call list_tasks to see the ids."
        if name == "complete_task":
            row.completed = True
        elif name == "delete_task":
            self.rows.remove(row)
        else:
            row.title = arguments.get("title", row.title)
            row.description = arguments.get("description", row.description)
        status = {"complete_task": "completed", "delete_task": "deleted"}.get(name, "updated")
        return json.dumps({"task_id": row.id, "status": status, "title": row.title})

    async def say(self, text: str) -> tuple[list[Call], str]:
        """One turn: the calls as the judge compares them, and the reply."""
        titles = {row.id: row.title for row in self.rows}
        self.items.append({"role": "user", "content": text})
        made: list[Call] = []
        for _ in range(MODEL_CALLS_MAX):
            response = await OfflineModel().get_response(
                "instructions", self.items, ModelSettings(), TOOLS, None, [],
                ModelTracing.DISABLED, previous_response_id=None, conversation_id=None, prompt=None,
            )  # fmt: skip
            calls = [o for o in response.output if isinstance(o, ResponseFunctionToolCall)]
            self.items += response.to_input_items()
            if not calls:
                (message,) = response.output
                assert isinstance(message, ResponseOutputMessage)
                return made, "".join(getattr(part, "text", "") for part in message.content)
            for call in calls:
                arguments = json.loads(call.arguments)
                made.append(made_call(call.name, arguments, titles))
                self.items.append(
                    {"type": "function_call_output", "call_id": call.call_id,
                     "output": self.run(call.name, arguments)}
                )  # fmt: skip
        raise AssertionError(f"the turn did not end: {text}")


FILES = {
    "phrasings.jsonl": 0.95, "unseen.jsonl": 0.8, "held_out.jsonl": 0.8, "fresh.jsonl": 0.8,
    "unread.jsonl": 0.8, "latest.jsonl": 0.85,
}  # fmt: skip
"""Files that nothing was trained on, with the share of conversations that must come out right."""

CASES_MAX = 200
"""Conversations of a file that are tried; `make offline-curve` and `taskchat eval` take all."""


async def outcome_of(case: Case) -> tuple[str | None, bool]:
    """What is wrong with a conversation, and whether it changed what it should not have."""
    desk = Desk([task.model_dump() for task in case.tasks])
    for turn in case.turns:
        made, reply = await desk.say(turn.say)
        if problem := problem_of(turn, made, reply):
            wanted = [call.comparable() for call in turn.calls]
            changes = [call for call in made if call.tool != "list_tasks"]
            wrong = any(call.comparable() not in wanted for call in changes)
            return f"{case.id}: {problem}: {turn.say!r} -> {reply!r}", wrong
    return None, False


@pytest.mark.parametrize("name", FILES)
async def test_most_conversations_come_out_right_and_hardly_an_idle_one_changes_anything(
    name: str,
) -> None:
    cases = read_cases(DATA / name)
    cases = cases[:: 1 + len(cases) // CASES_MAX]
    outcomes = [(case, *await outcome_of(case)) for case in cases]
    problems = [problem for _, problem, _ in outcomes if problem is not None]
    assert 1 - len(problems) / len(cases) >= FILES[name], problems
    idle = [wrong for case, _, wrong in outcomes if case.intent == "none"]
    assert sum(idle) / len(idle) <= 0.1, problems
