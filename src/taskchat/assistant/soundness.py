"""Answers of models, made sound enough for a record and readable by the next model."""

import itertools
import json
from collections.abc import Sequence
from typing import Any, Final, cast

from agents.items import TResponseInputItem, TResponseOutputItem
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
)

from taskchat.assistant.record import Answer
from taskchat.moments import new_id
from taskchat.texts import is_visible, scrubbed

CALL_ID_CHARS_MAX: Final = 255
"""The record's column; vendors use some 30."""

ITEMS_OF_A_VENDOR: Final = ("id", "provider_data")
"""What only the model that made an item knows how to read."""

UNREADABLE: Final = "(no JSON)"
"""Stands for arguments that only Python takes for JSON; the SDK tells the model that it is none."""

NESTING_MAX: Final = 32
"""Arguments within arguments. No tool has any; beyond some hundreds Python gives up."""


def readable_by(
    model: str, items: list[TResponseInputItem], answers: Sequence[Answer]
) -> list[TResponseInputItem]:
    """The items without what other models of the turn kept for themselves.

    A vendor refuses the encrypted reasoning and the ids of another, or of another model.

    Args:
        model: Who is asked now.
        items: Its whole input.
        answers: What has been answered in this turn, by whom.
    """
    # Told by their calls: the ids of other items may be one and the same for all that were made.
    makers = {
        item["call_id"]: answer.model
        for answer in answers
        for item in answer.items
        if item.get("type") == "function_call"
    }
    if all(maker == model for maker in makers.values()):
        return items
    readable: list[TResponseInputItem] = []
    for is_answer, group in itertools.groupby(items, key=_is_of_a_model):
        part = list(group)
        made_by = {makers.get(str(item.get("call_id")), model) for item in part}
        readable += part if not is_answer or made_by == {model} else _laid_bare(part)
    return readable


def with_json_arguments(items: Sequence[TResponseInputItem]) -> list[TResponseInputItem]:
    """The items with arguments that every server can read.

    A model is told when it wrote none; but some servers read the arguments of all calls again and
    refuse the whole request over them.
    """
    return [
        cast(
            "TResponseInputItem",
            {**item, "arguments": json.dumps({"unreadable": str(item.get("arguments"))})},
        )
        if item.get("type") == "function_call" and not _is_json(str(item.get("arguments")))
        else item
        for item in items
    ]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _is_of_a_model(item: TResponseInputItem) -> bool:
    return item.get("type") != "function_call_output" and item.get("role") != "user"


def _laid_bare(items: Sequence[TResponseInputItem]) -> list[TResponseInputItem]:
    return [
        cast(
            "TResponseInputItem",
            {key: value for key, value in item.items() if key not in ITEMS_OF_A_VENDOR},
        )
        for item in items
        if item.get("type") != "reasoning"
    ]


def make_sound(output: Sequence[TResponseOutputItem], input: Sequence[TResponseInputItem]) -> None:
    """Mend in place what a model may get wrong and a record can't hold.

    A call id that was used before in this input, or that is no id, gets a new one: the ledger
    would take the call for a repetition. NUL and lone surrogates become U+FFFD. A refusal becomes
    text: its words are the reply.
    """
    seen = {item.get("call_id") for item in input if item.get("type") == "function_call"}
    for item in output:
        if isinstance(item, ResponseFunctionToolCall):
            if not item.call_id or len(item.call_id) > CALL_ID_CHARS_MAX or item.call_id in seen:
                item.call_id = f"call_{new_id().hex}"
            seen.add(item.call_id)
            item.arguments = sound_arguments(item.arguments)
        elif isinstance(item, ResponseOutputMessage):
            item.content = [_sound_part(part) for part in item.content]


def sound_arguments(arguments: str) -> str:
    """The arguments of a call with what can't be stored replaced, written out or escaped.

    What isn't JSON stays as it is, for the model to be told. What is none by its standard, such as
    NaN or a number without an end, and what is nested beyond reason, becomes such a text.
    """
    arguments = scrubbed(arguments)
    try:
        given = json.loads(arguments)
        mended = _mended(given, NESTING_MAX)
        # Neither NaN nor the infinities are JSON to anybody but Python.
        written = json.dumps(mended, ensure_ascii=False, allow_nan=False)
    except json.JSONDecodeError:
        return arguments
    except (ValueError, RecursionError):
        return UNREADABLE
    return arguments if mended == given else written


def _mended(value: Any, levels: int) -> Any:
    if not levels:
        raise RecursionError
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, list):
        return [_mended(one, levels - 1) for one in value]
    if isinstance(value, dict):
        return {scrubbed(name): _mended(one, levels - 1) for name, one in value.items()}
    return value


def _sound_part(part: ResponseOutputText | ResponseOutputRefusal) -> ResponseOutputText:
    if isinstance(part, ResponseOutputRefusal):
        return ResponseOutputText(
            type="output_text", text=scrubbed(part.refusal), annotations=[], logprobs=[]
        )
    part.text = scrubbed(part.text)
    return part


def is_nothing(output: Sequence[TResponseOutputItem]) -> bool:
    """Whether there is neither a word to read nor a call to make."""
    for item in output:
        if isinstance(item, ResponseFunctionToolCall):
            return False
        if isinstance(item, ResponseOutputMessage) and any(
            isinstance(part, ResponseOutputText) and is_visible(part.text) for part in item.content
        ):
            return False
    return True
