"""A turn is stopped, wherever it is, from another process: what was read of it stays."""

import asyncio
import json
from typing import Any

import asyncpg
import httpx
from tests.faults.cluster import query
from tests.faults.model_server import Gate
from tests.faults.processes import Service
from tests.faults.scripts import role_of, text_of, title
from tests.faults.stage import Stage
from tests.faults.waiting import until

from taskchat.conversations.history import INTERRUPTED


class Reader:
    """Somebody who follows a turn, and keeps the text that is shown."""

    def __init__(self) -> None:
        self.text = ""
        self.last: dict[str, Any] = {}

    async def follow(self, stage: Stage, service: Service, message: str, key: str) -> None:
        headers = stage.person.headers | {"Accept": "text/event-stream", "Idempotency-Key": key}
        async with stage.client(service).stream(
            "POST", stage.person.chat_path, json={"message": message}, headers=headers
        ) as stream:
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    self._take(json.loads(line.removeprefix("data: ")))

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "stream_start" or event.get("dropped"):
            self.text = ""
        elif event["type"] == "stream_chunk":
            self.text += event["delta"]
        self.last = event


async def cancel(stage: Stage, service: Service, key: str) -> httpx.Response:
    turn = (await stage.begun(key)).turn["id"]
    return await stage.client(service).post(
        f"/api/{stage.person.user_id}/turns/{turn}/cancel", headers=stage.person.headers
    )


async def left(stage: Stage, id_: str, number: int) -> None:
    async def closed() -> bool:
        return stage.model.is_left(id_, number)

    await until(closed, within_s=15, what="the model's connection is closed")


async def messages(stage: Stage, conversation: Any) -> list[dict[str, Any]]:
    page = await stage.client(stage.steady).get(
        f"/api/{stage.person.user_id}/conversations/{conversation}/messages",
        headers=stage.person.headers,
    )
    return list(page.json()["data"])


async def test_what_was_read_of_a_reply_is_kept_and_told_to_the_model(stage: Stage) -> None:
    id_, after = stage.message_id(), stage.message_id()
    gate, reader, other = Gate(), Reader(), await stage.victim()
    stage.model.when_saying(id_, 2, gate)
    following = asyncio.create_task(reader.follow(stage, stage.steady, f"[{id_}] add:1", key=id_))
    await gate.reached.wait()

    async def is_shown() -> bool:
        return len(reader.text) > 0

    await until(is_shown, within_s=15)
    done = await cancel(stage, other, id_)
    assert (done.status_code, done.json()["status"]) == (200, "cancelled")
    await asyncio.wait_for(following, 30)
    await left(stage, id_, 2)
    gate.opened.set()

    assert (reader.last["type"], reader.last["error_code"]) == ("error", "turn_cancelled")
    stored = await stage.found(id_)
    assert stored.said == [f"[{id_}] add:1", reader.text]
    assert stored.titles == [title(id_, 1)]
    shown = await messages(stage, stored.turn["conversation_id"])
    assert [(one["role"], one["interrupted"]) for one in shown] == [
        ("user", False),
        ("assistant", True),
    ]
    assert [call["status"] for call in shown[1]["tool_calls"]] == ["completed"]
    assert done.json()["reply"] == reader.text

    again = await stage.post(stage.steady, f"[{id_}] add:1", key=id_)
    assert (again.status_code, again.json()["error_code"]) == (409, "turn_cancelled")
    assert again.json()["details"] == [
        {
            "field": "reply",
            "problem": "was interrupted",
            "message_id": shown[1]["id"],
            "content": reader.text,
        }
    ]
    conversation = str(stored.turn["conversation_id"])
    next_ = await stage.post(other, f"[{after}] list", conversation_id=conversation)
    assert next_.status_code == 200
    assert [one["interrupted"] for one in next_.json()["messages"]] == [False, True, False, False]
    [first, _] = stage.model.asked(after)
    assert not first.problems
    said = [text_of(item) for item in stage.model.input_of(first) if role_of(item) == "assistant"]
    assert said == [f"{reader.text}\n\n{INTERRUPTED}"]


async def test_a_stop_in_a_model_call_closes_its_connection_and_keeps_what_was_done(
    stage: Stage,
) -> None:
    id_, gate, other = stage.message_id(), Gate(), await stage.victim()
    stage.model.when(id_, 2, gate)
    waiting = stage.posting(stage.steady, f"[{id_}] add:1", key=id_)
    await gate.reached.wait()
    assert (await cancel(stage, other, id_)).status_code == 200
    answer = await waiting
    assert (answer.status_code, answer.json()["error_code"]) == (409, "turn_cancelled")
    assert answer.json()["details"] == []
    await left(stage, id_, 2)
    gate.opened.set()
    stored = await stage.found(id_)
    assert (stored.said, stored.titles) == ([f"[{id_}] add:1"], [title(id_, 1)])


async def test_a_stop_in_the_queue_leaves_the_message_and_nothing_else(stage: Stage) -> None:
    first, second, gate = stage.message_id(), stage.message_id(), Gate()
    other = await stage.victim()
    stage.model.when(first, 1, gate)
    runs = stage.posting(stage.steady, f"[{first}] list", key=first)
    await gate.reached.wait()
    conversation = str((await stage.found(first)).turn["conversation_id"])
    waits = stage.posting(
        stage.steady, f"[{second}] add:1", key=second, conversation_id=conversation
    )
    assert (await cancel(stage, other, second)).status_code == 200
    assert (await waits).status_code == 409
    gate.opened.set()
    assert (await runs).status_code == 200
    assert (await stage.found(second)).said == [f"[{second}] add:1"]
    assert not stage.model.asked(second)
    assert await stage.titles() == []


async def test_a_stop_in_a_tool_keeps_its_effect_with_its_record(stage: Stage) -> None:
    id_, other = stage.message_id(), await stage.victim()
    # The row that new tasks and conversations are counted in exists, and somebody else holds it.
    said = await stage.post(stage.steady, f"[{stage.message_id()}] list")
    there = {"conversation_id": said.json()["conversation_id"]}
    holder = await asyncpg.connect(stage.url)
    try:
        holding = holder.transaction()
        await holding.start()
        await holder.execute(
            "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE", stage.person.user_id
        )
        waiting = stage.posting(stage.steady, f"[{id_}] add:1", key=id_, **there)
        await until(lambda: blocked(stage, "turn_call"), within_s=15)
        cancelling = stage.spawn(cancel(stage, other, id_))
        await until(lambda: blocked(stage, "UPDATE turns"), within_s=15)
        await holding.rollback()
    finally:
        await holder.close()
    assert (await cancelling).status_code == 200
    assert (await waiting).status_code == 409
    stored = await stage.found(id_)
    assert (len(stored.calls), stored.titles) == (1, [title(id_, 1)])


async def blocked(stage: Stage, statement: str) -> bool:
    """Whether a statement of this kind waits for somebody's lock."""
    rows = await query(
        stage.url,
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1",
        f"%{statement}%",
    )
    return bool(rows)
