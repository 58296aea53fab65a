"""Serve an endpoint by itself.

    python -m tests.assistant.vendor --port 9100 \\
        'gpt-a=always(fails(429, retry_after=1))' 'gpt-b=calls("add_task", title="Milk")' \\
        'gpt-b=says("Added.")' 'always(says("Hello."))'

Each argument is one step, with the model that it is for; a step without a model is for whichever
has none of its own. A line on stdout tells the address, and one of each request that arrives.
"""

import argparse
import ast
import asyncio
import contextlib
import time
from typing import Any

from tests.assistant.vendor import steps
from tests.assistant.vendor.endpoint import Vendor
from tests.assistant.vendor.steps import Step

MAKERS = {
    name: getattr(steps, name)
    for name in (
        "always",
        "calls",
        "calls_raw",
        "counting",
        "empty",
        "ends_early",
        "fails",
        "fails_inside",
        "garbage",
        "halves",
        "hangs",
        "incomplete",
        "loops",
        "refuses",
        "resets",
        "says",
        "stalls",
        "thinks",
        "together",
        "trickles",
    )
}


def step_of(text: str) -> Step | list[Step]:
    """The step that is written so, in the words of `steps`.

    Raises:
        ValueError: it is no step.
    """
    made: Step | list[Step] = _made(ast.parse(text, mode="eval").body)
    return made


def _made(node: ast.expr) -> Any:
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    if not isinstance(node.func, ast.Name) or node.func.id not in MAKERS:
        raise ValueError(f"no step: {ast.unparse(node)}")
    named = {word.arg or "": _made(word.value) for word in node.keywords}
    return MAKERS[node.func.id](*map(_made, node.args), **named)


def _argument(text: str) -> tuple[str | None, list[Step]]:
    model, equals, step = text.partition("=")
    # An “=” inside of the brackets is an argument's.
    if not equals or "(" in model:
        model, step = "", text
    try:
        made = step_of(step)
    except (SyntaxError, TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error
    return model or None, made if isinstance(made, list) else [made]


async def serve(host: str, port: int, script: list[tuple[str | None, list[Step]]]) -> None:
    """Serve until cancelled; a line for each request."""
    standing = Vendor()
    for model, made in script:
        standing.then(*made, model=model)
    async with standing.serving(host=host, port=port):
        print(f"OPENAI_BASE_URL={standing.url}", flush=True)
        began, told = time.monotonic(), 0
        while True:
            await asyncio.sleep(0.1)
            for request in standing.requests[told:]:
                how = "streamed" if request.stream else "whole"
                at = f"{request.at - began:8.3f}"
                print(at, request.path, request.model, how, f"{len(request.items)} items")
            told = len(standing.requests)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.assistant.vendor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100, help="0 takes a free one")
    parser.add_argument("script", nargs="+", type=_argument, metavar="[MODEL=]STEP")
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(given.host, given.port, given.script))


if __name__ == "__main__":
    main()
