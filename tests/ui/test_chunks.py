"""What single events become, where a whole turn would hardly show it."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from tests.ui.chatting import Chunk, kinds

from taskchat.moments import new_id, utc_now
from taskchat.reference.examples.events import OTHERS, TOLD
from taskchat.transports.ui.chunks import Encoder
from taskchat.turns import events
from taskchat.turns.events import EventBase, StoredEvent

CALL = new_id()


class Telling:
    """Tells the events of one turn."""

    def __init__(self) -> None:
        self.turn, self.conversation = new_id(), new_id()
        self._encoder = Encoder(self.turn)
        self._seq = 0
        said = {"number": 1, "channel": "sse", "message_id": new_id(), "content": "Milk"}
        self(events.TurnStarted, **said, version_of=None)

    def __call__(self, kind: type[EventBase], **fields: Any) -> list[Chunk]:
        self._seq += 1
        event = kind(
            turn_id=self.turn,
            conversation_id=self.conversation,
            seq=self._seq,
            timestamp=utc_now(),
            **fields,
        )
        return encoded(self._encoder, [event])

    def says(self, *pieces: str, dropped: bool = False) -> list[Chunk]:
        told = self(events.StreamStart)
        for piece in pieces:
            told += self(events.StreamChunk, delta=piece)
        return told + self(events.StreamEnd, dropped=dropped)

    def calls(self, id_: UUID = CALL) -> list[Chunk]:
        return self(
            events.ToolCallEvent, tool_call_id=id_, tool_name="add_task", arguments={"title": "x"}
        )

    def asks_model(self) -> list[Chunk]:
        return self(events.OpenAICall, model="a model")

    def replies(self, content: str) -> list[Chunk]:
        return self(events.AssistantReply, message_id=new_id(), content=content)


def encoded(encoder: Encoder, told: Sequence[EventBase]) -> list[Chunk]:
    return [
        chunk
        for event in told
        for chunk in encoder.encode(
            StoredEvent(event.turn_id, 1, event.seq, event.type, event.model_dump_json())
        )
    ]


def test_a_text_that_is_dropped_takes_its_step_along_and_no_call() -> None:
    tell = Telling()
    told = tell.asks_model() + tell.calls() + tell.says("Mil", dropped=True) + tell.asks_model()
    assert kinds(told) == [
        "start-step",
        "tool-input-available",
        "finish-step",
        "start-step",
        "text-start",
        "text-delta",
        "reset-step",
    ]
    again = tell.says("Milk.")
    assert kinds(again) == ["text-start", "text-delta", "text-end"]
    assert tell.replies("Milk.") == []


def test_a_call_that_is_told_again_after_a_takeover_is_there_once() -> None:
    tell = Telling()
    tell.asks_model()
    assert kinds(tell.calls()) == ["tool-input-available"]
    tell.asks_model()
    assert tell.calls() == []


def test_a_reply_that_was_not_streamed_is_told_as_a_whole() -> None:
    tell = Telling()
    tell.asks_model()
    assert kinds(tell.replies("Milk.")) == ["text-start", "text-delta", "text-end"]


def test_a_reply_that_is_not_what_was_streamed_takes_its_place() -> None:
    tell = Telling()
    tell.asks_model()
    tell.says("Milk and")
    assert kinds(tell.replies("Milk.")) == ["reset-step", "text-start", "text-delta", "text-end"]


def test_what_a_model_says_beside_a_call_is_no_part_of_what_it_replies() -> None:
    tell = Telling()
    tell.asks_model()
    tell.says("Let me see.")
    tell.calls()
    tell.asks_model()
    tell.says("Done.")
    assert tell.replies("Done.") == []


def test_a_text_that_is_open_at_the_end_is_closed() -> None:
    tell = Telling()
    tell.asks_model()
    tell(events.StreamStart)
    ended = tell(
        events.TurnFailed, error_code="turn_cancelled", error="Stopped.", request_id="", details=[]
    )
    assert kinds(ended) == ["text-end", "message-metadata", "finish-step", "abort", "finish"]


def test_of_a_turn_whose_events_are_forgotten_the_end_tells_what_is_kept() -> None:
    whole = encoded(Encoder(TOLD[0].turn_id), TOLD)
    left = encoded(Encoder(TOLD[0].turn_id), TOLD[-1:])
    assert kinds(left) == kinds(whole)
    for type_ in ("tool-input-available", "tool-output-available", "finish"):
        assert [c for c in left if c["type"] == type_] == [c for c in whole if c["type"] == type_]
    said = [chunk["delta"] for chunk in whole if chunk["type"] == "text-delta"]
    assert [chunk["delta"] for chunk in left if chunk["type"] == "text-delta"] == ["".join(said)]
    [failed] = [event for event in OTHERS if isinstance(event, events.TurnFailed)]
    assert kinds(encoded(Encoder(failed.turn_id), [failed])) == [
        "start",
        "message-metadata",
        "error",
    ]


def test_of_a_streamed_turn_two_events_become_nothing() -> None:
    encoder = Encoder(TOLD[0].turn_id)
    silent = [event.type for event in TOLD if not encoded(encoder, [event])]
    assert silent == ["openai_response", "assistant"]
