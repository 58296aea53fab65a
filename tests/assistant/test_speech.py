"""What a model says, apart from what it thinks aloud, however it comes."""

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings
from tests.assistant.talk import A, B, Way, talking
from tests.assistant.vendor.endpoint import vendor
from tests.assistant.vendor.steps import calls, says, shaped, together
from tests.conftest import AppMaker

from taskchat.assistant.models.speech import Speech

TOLD: list[tuple[str, str, str]] = [
    ("Hello.", "Hello.", ""),
    ("  Hello. \n", "Hello.", ""),
    ("<think>Hm.</think>Hello.", "Hello.", "Hm."),
    ("<think>\nHm.\n</think>\n\nHello.", "Hello.", "\nHm.\n"),
    ("\n <Think >Hm.</THINK>Hello.", "Hello.", "Hm."),
    ("<thinking>Hm.</thinking>Hello.", "Hello.", "Hm."),
    ("<thought>Hm.</thought>Hello.", "Hello.", "Hm."),
    ("<reasoning>Hm.</reasoning>\nHello.", "Hello.", "Hm."),
    ("<think></think>Hello.", "Hello.", ""),
    ("<think>Hm.", "", "Hm."),
    ("<think>Hm.</think>", "", "Hm."),
    ("<think>Hm.</thin", "", "Hm.</thin"),
    ("Hm.</think>Hello.", "Hello.", "Hm."),
    ("Hm.\n</think>\n\nHello.", "Hello.", "Hm."),
    ("Hm.</think>", "", "Hm."),
    ("One <think>Hm.</think> two.", "One two.", "Hm."),
    ("One.\n<think>Hm.</think>\nTwo.", "One.\nTwo.", "Hm."),
    ("One.\n<think>Hm.", "One.", "Hm."),
    ("One.<think>A</think>Two.<think>B</think>", "One.Two.", "AB"),
    ("<think>A <think>B</think> C</think>Hello.", "Hello.", "A <think>BC"),
    ("<think>`</think>Hello.", "Hello.", "`"),
    ("The tag <think> begins it.", "The tag <think> begins it.", ""),
    ("It is `<think>` to `</think>`.", "It is `<think>` to `</think>`.", ""),
    ("```xml\n<think>a</think>\n```\nso.", "```xml\n<think>a</think>\n```\nso.", ""),
    ("~~~\n</think>\n~~~\nso.", "~~~\n</think>\n~~~\nso.", ""),
    ("a ` b\n<think>Hm.</think>c", "a ` b\nc", "Hm."),
    ("1 < 2 <thin ice> <b>bold</b> <t", "1 < 2 <thin ice> <b>bold</b> <t", ""),
    ("I added “<think>mine</think>”.", "I added “<think>mine</think>”.", ""),
]
"""What comes; what is said; what is thought."""


class Ears:
    """What was told of a speech."""

    def __init__(self) -> None:
        self.said, self.thought = "", ""
        self.speech = Speech(
            say=self.hear,
            think=self.think,
            void=self.forget,
            thinks=True,
            is_quoted=lambda text: text == "<think>mine</think>",
        )

    def hear(self, text: str) -> None:
        self.said += text

    def think(self, text: str) -> None:
        self.thought += text

    def forget(self) -> None:
        self.said = ""


@pytest.mark.parametrize(("text", "said", "thought"), TOLD, ids=[told[0][:30] for told in TOLD])
def test_what_is_thought_is_no_part_of_what_is_said(text: str, said: str, thought: str) -> None:
    for size in (1, 2, 3, 5, 1000):
        ears = Ears()
        for start in range(0, len(text), size):
            ears.speech.hear(text[start : start + size], 0)
        ears.speech.end(text)
        assert (ears.said, ears.thought) == (said, thought)
        assert ears.speech.said == said


PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<",
        "think>",
        "`",
        "```",
        "\n",
        " ",
        "a",
        "\ud83e",
        "\udd5b",
        "🥛",
        "\x00",
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES), st.lists(st.integers(1, 9)))
@example(["a", "</think>", "`"], [1])
@example(["\ud83e", "\udd5b"], [1])
def test_a_text_is_told_alike_however_it_is_cut(pieces: list[str], cuts: list[int]) -> None:
    text = "".join(pieces)
    whole, cut = Ears(), Ears()
    whole.speech.end(text)
    start = 0
    for size in cuts:
        cut.speech.hear(text[start : start + size], 0)
        start += size
    cut.speech.end(text)
    assert (cut.said, cut.thought) == (whole.said, whole.thought)
    assert whole.speech.said.count("\ufffd") == whole.said.count("\x00") + sum(
        "\ud800" <= char <= "\udfff" for char in whole.said
    )


@settings(deadline=None)
@given(st.text("ab<>/`\n "), st.text("ab<>/`\n "))
def test_what_was_heard_is_what_is_said_whatever_is_told_at_the_end(heard: str, end: str) -> None:
    ears, alone = Ears(), Ears()
    ears.speech.hear(heard, 0)
    ears.speech.end(end)
    alone.speech.end(end if end.startswith(heard) else heard)
    assert ears.speech.said == ears.said == alone.said


def test_messages_are_paragraphs() -> None:
    ears = Ears()
    for message, delta in [(0, "One"), (0, "."), (1, ""), (1, "Two"), (1, "."), (1, "")]:
        ears.speech.hear(delta, message)
    ears.speech.end("One.\n\nTwo.\n\nThree.")
    assert ears.said == ears.speech.said == "One.\n\nTwo.\n\nThree."


async def test_what_a_model_thinks_in_its_text_is_kept_apart(
    running_app: AppMaker, way: Way
) -> None:
    script = {
        A: [
            together(
                says("<think>Milk it is.</think>One moment."), calls("add_task", title="Milk")
            ),
            says("<think>Done, I think.\n</think>\n\nAdded."),
        ]
    }
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say("Add <think>milk</think>")
            assert outcome.reply == "Added."
            assert outcome.heard == ("One moment.Added." if way.streams else "")
            assert outcome.thought == "Milk it is.Done, I think.\n"
            await talk.goes_on()
            for request in standing.requests[1:]:
                told = json.dumps(request.items)
                assert "it is" not in told
                assert "I think" not in told
                # What the person writes is theirs.
                assert "Add <think>milk</think>" in told


def thinking(field: str, **more: Any) -> Any:
    """A stream, or a body, of Chat Completions whose first piece is thought in this field."""

    def change(told: Any) -> Any:
        for chunk in told if isinstance(told, list) else [told]:
            for choice in chunk.get("choices", ()):
                said = choice.get("message") or choice["delta"]
                if "role" in said:
                    said |= {field: "Hm, let me see.", **more}
        return told

    return change


REASONING: dict[str, Any] = {
    "id": "rs_9",
    "type": "reasoning",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "Hm, let me see."}],
}


def reasoning(told: Any) -> Any:
    """The same of Responses: an item, and its text as it comes."""
    if isinstance(told, dict):
        told["output"].insert(0, REASONING)
        return told
    delta = {"type": "response.reasoning_text.delta", "delta": "Hm, let me see."}
    told[-1]["response"]["output"].insert(0, REASONING)
    return [*told[:2], delta, *told[2:]]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "both", "parts"])
async def test_what_a_model_thinks_in_a_field_is_kept_apart(
    running_app: AppMaker, way: Way, field: str
) -> None:
    change = {
        "reasoning_content": thinking("reasoning_content"),
        "reasoning": thinking("reasoning"),
        "both": thinking("reasoning", reasoning_content="Hm, let me see."),
        "parts": thinking(
            "content",
            content=[
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm, let me see."}]},
                *([] if way.streams else [{"type": "text", "text": "Hello there."}]),
            ],
        ),
    }[field]
    if way.api == "responses":
        change = reasoning
    step = shaped(says("Hello there."), body=change, told=change)
    async with vendor(scripts={A: [step], B: [says("Never.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert (outcome.reply, outcome.model) == ("Hello there.", A)
            assert outcome.thought == "Hm, let me see."
            assert outcome.heard == ("Hello there." if way.streams else "")
            await talk.goes_on()
            assert "let me see" not in json.dumps(standing.requests[-1].items)


async def test_an_answer_that_is_only_thought_is_left_for_the_next_model(
    running_app: AppMaker, way: Way
) -> None:
    async with vendor() as standing:
        async with talking(running_app, standing, way) as talk:
            for text in ("<think>Hm.</think>", "<think>Hm.", "Hm.</think>\n"):
                standing.instead(says(text), model=A)
                standing.instead(says("Hello."), model=B)
                outcome = await talk.say()
                assert (outcome.reply, outcome.model) == ("Hello.", B)
                assert outcome.thought == "Hm."
            await talk.goes_on()


async def test_a_turn_in_which_all_models_only_think_ends_by_name(
    running_app: AppMaker, way: Way
) -> None:
    script = {A: [says("<think>Hm.")], B: [says("<think>Hmm.</think>")]}
    async with vendor(scripts=script) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.error_code == "model_error"
            assert "answered nothing" in outcome.error
            assert outcome.thought == "Hm.Hmm."
            assert outcome.events[-1]["type"] == "error"
            assert not outcome.texts
            await talk.goes_on()


async def test_what_turns_out_to_be_thought_is_dropped(running_app: AppMaker, way: Way) -> None:
    async with vendor(scripts={A: [says("They want a greeting.\n</think>\n\nHello.")]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.reply == "Hello."
            assert outcome.thought == "They want a greeting."
            if way.streams:
                assert outcome.texts[-1] == ("Hello.", False)
                assert all(dropped for _, dropped in outcome.texts[:-1])
            await talk.goes_on()
            assert "greeting" not in json.dumps(standing.requests[-1].items)


async def test_a_thought_in_the_middle_of_a_text_is_told_behind_it(
    running_app: AppMaker, way: Way
) -> None:
    text = "One.\n<think>Is that all?</think>\nTwo. And `<think>` is a tag."
    async with vendor(scripts={A: [says(text)]}) as standing:
        async with talking(running_app, standing, way) as talk:
            outcome = await talk.say()
            assert outcome.reply == "One.\nTwo. And `<think>` is a tag."
            assert outcome.thought == "Is that all?"
            types = [event["type"] for event in outcome.events]
            if way.streams:
                assert types.index("stream_end") < types.index("reasoning")
            assert types.index("reasoning") < types.index("openai_response")
            await talk.goes_on()
