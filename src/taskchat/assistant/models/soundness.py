"""Answers of models, made sound enough for a record and readable by the next model."""

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, Final, cast

from agents.items import TResponseInputItem, TResponseOutputItem
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)

from taskchat.assistant.models.speech import BETWEEN
from taskchat.assistant.record import Answer
from taskchat.moments import new_id
from taskchat.texts import is_visible, scrubbed

CALL_ID: Final = re.compile(r"[!-~]{1,64}")
"""The ids that OpenAI takes, by length; vendors use some 30 characters, of all kinds."""

NAME_CHARS_MAX: Final = 64
"""The longest tool name that OpenAI takes, and whoever follows it."""

NAME: Final = re.compile(rf"[a-zA-Z0-9_-]{{1,{NAME_CHARS_MAX}}}")
"""A name that every server takes."""

NO_LETTER: Final = re.compile(r"[^a-zA-Z0-9_-]+")
"""Characters that a name can't have."""

NAMELESS: Final = "unnamed"
"""Stands for the name of a call that had none."""

ITEMS_OF_A_VENDOR: Final = ("id", "provider_data")
"""Fields that only the model that made an item can read."""

UNREADABLE: Final = "(no JSON)"
"""Replaces arguments that only Python takes for JSON; the SDK tells the model that this is none."""

NESTING_MAX: Final = 32
"""Levels of nesting in arguments. No tool has any; beyond some hundreds Python gives up."""


def readable_by(
    model: str, items: list[TResponseInputItem], answers: Sequence[Answer]
) -> list[TResponseInputItem]:
    """The items without what other models of the turn meant only for themselves.

    A vendor refuses encrypted reasoning and ids that come from another vendor, or another model.

    Args:
        model: The model that is asked now.
        items: What it is told of this turn.
        answers: What has been answered in this turn, and by which model.
    """
    # Recognised by their calls: the ids of other items may be the same for all that were made.
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


def readable_by_any(items: Sequence[TResponseInputItem]) -> list[TResponseInputItem]:
    """The items, with names and arguments of calls that every server can read.

    A model is told of a call that it got wrong. But some servers read all calls again, and refuse
    the whole request because of an unknown character in a name, or arguments that are not JSON.
    """
    return [
        cast("TResponseInputItem", {**item, **_readable(item)})
        if item.get("type") == "function_call"
        else item
        for item in items
    ]


def _readable(call: Mapping[str, Any]) -> dict[str, str]:
    name, arguments = str(call.get("name")), str(call.get("arguments"))
    if not NAME.fullmatch(name):
        name = NO_LETTER.sub("_", name)[:NAME_CHARS_MAX] or NAMELESS
    if not arguments.strip():
        # Empty arguments, as they came; a server that reads them again knows this form, too.
        arguments = ""
    elif not _is_json(arguments):
        arguments = json.dumps({"unreadable": arguments})
    return {"name": name, "arguments": arguments}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def arguments_in(text: str) -> dict[str, Any] | None:
    """The arguments in the text of a call; None if it holds something else.

    Vendors write nothing, null or an empty list for no arguments; some encode the text twice.
    """
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, str):
        return arguments_in(found)
    if found is None or found == []:
        return {}
    return found if isinstance(found, dict) else None


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


def text_of(output: Sequence[TResponseOutputItem]) -> str:
    """What an answer says: all its messages, refusals too, as paragraphs of one text."""
    messages = (
        "".join(
            part.text if isinstance(part, ResponseOutputText) else part.refusal
            for part in item.content
        )
        for item in output
        if isinstance(item, ResponseOutputMessage)
    )
    return BETWEEN.join(message for message in messages if message)


def thought_in(output: Sequence[TResponseOutputItem]) -> str:
    """What an answer tells of its model's reasoning."""
    return BETWEEN.join(
        part.text
        for item in output
        if isinstance(item, ResponseReasoningItem)
        for part in (*item.summary, *(item.content or ()))
        if part.text
    )


def calls_in(items: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    """The calls among the items that can be read: id, tool and arguments of each."""
    return [
        (str(item["call_id"]), str(item["name"]), arguments)
        for item in items
        if item.get("type") == "function_call"
        and (arguments := arguments_in(str(item.get("arguments") or ""))) is not None
    ]


def call_ids_of(items: Iterable[TResponseInputItem]) -> set[str]:
    """The ids of the calls among the items."""
    return {str(item.get("call_id")) for item in items if item.get("type") == "function_call"}


def made_sound(
    output: Sequence[TResponseOutputItem], taken: Set[str], said: str
) -> list[TResponseOutputItem]:
    """The answer without what a model may get wrong and a record can't hold.

    What is neither a message nor a call nor reasoning is left out: nobody asked for it. A call id
    that was used before, or that is no id, is replaced: the ledger would take the
    call for a repetition. NUL and lone surrogates become U+FFFD.

    Args:
        output: Corrected in place, as far as it is kept.
        taken: The ids of the calls that the model was told of.
        said: What the answer says; replaces its messages, whatever these were.
    """
    made: set[str] = set()
    # A vendor wants what led to a call back unchanged, several messages included.
    as_it_came = scrubbed(text_of(output)).strip() == said and any(map(_is_call, output))
    sound: list[TResponseOutputItem] = []
    for item in output:
        if isinstance(item, ResponseFunctionToolCall):
            id_ = item.call_id
            if not CALL_ID.fullmatch(id_) or id_ in taken or id_ in made:
                item.call_id = f"call_{new_id().hex}"
            made.add(item.call_id)
            item.name = scrubbed(item.name)
            item.arguments = sound_arguments(item.arguments)
        elif isinstance(item, ResponseOutputMessage):
            text = scrubbed(text_of([item])) if as_it_came else said
            if not text:
                continue
            item.content = [_part(text)]
            said = said if as_it_came else ""
        elif not isinstance(item, ResponseReasoningItem):
            continue
        sound.append(item)
    if said and not as_it_came:
        sound.append(
            ResponseOutputMessage(
                type="message",
                id=FAKE_RESPONSES_ID,
                role="assistant",
                status="completed",
                content=[_part(said)],
            )
        )
    return sound


def _is_call(item: TResponseOutputItem) -> bool:
    return isinstance(item, ResponseFunctionToolCall)


def _part(text: str) -> ResponseOutputText:
    return ResponseOutputText(type="output_text", text=text, annotations=[], logprobs=[])


def sound_arguments(arguments: str) -> str:
    """The arguments of a call with what can't be stored replaced, written out or escaped.

    Invalid JSON stays as it is, so that the model is told. What only Python accepts, such as NaN or
    an infinite number, and what is nested too deeply, is replaced by such a text.
    """
    arguments = scrubbed(arguments)
    try:
        given = json.loads(arguments)
        sound = mended(given)
        # Only Python takes NaN and the infinities for JSON.
        written = json.dumps(sound, ensure_ascii=False, allow_nan=False)
    except json.JSONDecodeError:
        return arguments
    except (ValueError, RecursionError):
        return UNREADABLE
    return arguments if sound == given else written


def mended(value: Any, levels: int = NESTING_MAX) -> Any:
    """JSON with texts that a record can hold.

    Raises:
        RecursionError: it is nested too deeply.
    """
    if not levels:
        raise RecursionError
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, list):
        return [mended(one, levels - 1) for one in value]
    if isinstance(value, dict):
        return {scrubbed(name): mended(one, levels - 1) for name, one in value.items()}
    return value


def is_nothing(output: Sequence[TResponseOutputItem]) -> bool:
    """Whether there is neither text to read nor a call to make."""
    return not is_visible(text_of(output)) and not any(map(_is_call, output))
