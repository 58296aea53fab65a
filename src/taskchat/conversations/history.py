"""From rows to model input. A history is valid by construction: whole turns, whole pairs.

Only finished call and output pairs ever reach a model, and what does not fit the budget is
dropped by the turn: one unpaired call would break every later model call of the conversation.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from taskchat.conversations.past import PastTurn

InputItem = dict[str, Any]
"""One item of a model's input, in the shape of OpenAI's Responses API."""

BYTES_PER_TOKEN: Final = 4
"""English runs near four bytes a token and other scripts need more bytes for a character, so that
bytes estimate both; a vendor's own tokenizer would be a download for the last few per cent."""

ITEM_TOKENS: Final = 8
"""What the framing of one item costs: role, ids and separators."""

UNANSWERED: Final = "(This message got no answer: the turn failed or was cancelled.)"
"""Replaces a missing reply, so that a model neither answers late nor believes that it did."""


INTERRUPTED: Final = "(The user stopped this reply here.)"
"""Follows what was said of an interrupted reply, so that a model does not take it for the whole."""


def user_item(content: str) -> InputItem:
    """What the user said."""
    return {"role": "user", "content": content}


def call_output(result: dict[str, Any], status: str, *, note: str | None = None) -> str:
    """The output of a call, as the model saw it or would have seen it.

    Args:
        result: What the tool answered.
        status: Of the call.
        note: What the model is told besides.
    """
    if status == "completed":
        return json.dumps({**result, "note": note} if note else result)
    return str(result.get("error", "The call did not finish."))


def output_item(
    call_id: str, result: dict[str, Any], status: str, *, note: str | None = None
) -> InputItem:
    """The other half of a call's pair."""
    return {
        "type": "function_call_output",
        "call_id": call_id,
        "output": call_output(result, status, note=note),
    }


def turn_items(turn: PastTurn) -> list[InputItem]:
    """One finished turn: the message, its finished pairs, the reply or a note.

    What was said while it ran stands where it was read; before the reply if it never was.
    """
    items = [user_item(turn.said)]
    steered = list(turn.steered)
    for made, call in enumerate(turn.calls):
        while steered and steered[0][1] is not None and steered[0][1] <= made:
            items.append(user_item(steered.pop(0)[0]))
        items.append(
            {
                "type": "function_call",
                "call_id": call["call_id"],
                "name": call["tool_name"],
                "arguments": json.dumps(call["parameters"]),
            }
        )
        items.append(output_item(call["call_id"], call["result"], call["status"]))
    items += [user_item(content) for content, _ in steered]
    reply = turn.reply or UNANSWERED
    if turn.interrupted:
        reply = f"{reply}\n\n{INTERRUPTED}"
    items.append({"role": "assistant", "content": reply})
    return items


def told_lines(turns: Iterable[PastTurn]) -> Iterator[str]:
    """What was said and called in turns, as lines of text for a model that writes about it."""
    for turn in turns:
        for item in turn_items(turn):
            if item.get("type") == "function_call":
                yield f"(Assistant called {item['name']} with {item['arguments']})"
            elif "role" in item:
                yield f"{str(item['role']).capitalize()}: {item['content']}"


def tokens_of(items: Iterable[InputItem], *, bytes_per_token: float = BYTES_PER_TOKEN) -> int:
    """An estimate of what the items cost, in model tokens.

    Args:
        items: Of a model's input.
        bytes_per_token: As the model counts, if it has said so.
    """
    return sum(
        ITEM_TOKENS
        + math.ceil(
            sum(len(value.encode()) for value in item.values() if isinstance(value, str))
            / bytes_per_token
        )
        for item in items
    )


def model_input(
    turns: Sequence[PastTurn], *, tokens_max: int, bytes_per_token: float = BYTES_PER_TOKEN
) -> list[InputItem]:
    """The newest turns that fit, oldest first.

    Args:
        turns: Finished turns of one conversation, newest first.
        tokens_max: Budget in model tokens, summed over items.
        bytes_per_token: As the model counts, if it has said so.

    Returns:
        Items for `Runner.run`; never half of a pair. Empty if the newest turn alone is over the
        budget.
    """
    fitting = _fitting(turns, tokens_max, bytes_per_token)
    return [item for _, items in reversed(list(fitting)) for item in items]


def fitting_turns(
    turns: Sequence[PastTurn], *, tokens_max: int, bytes_per_token: float = BYTES_PER_TOKEN
) -> Sequence[PastTurn]:
    """The first of these turns that fit into a budget together."""
    return [turn for turn, _ in _fitting(turns, tokens_max, bytes_per_token)]


def _fitting(
    turns: Sequence[PastTurn], tokens_max: int, bytes_per_token: float
) -> Iterator[tuple[PastTurn, list[InputItem]]]:
    left = tokens_max
    for turn in turns:
        items = turn_items(turn)
        left -= tokens_of(items, bytes_per_token=bytes_per_token)
        if left < 0:
            return
        yield turn, items
