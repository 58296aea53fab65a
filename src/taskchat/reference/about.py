"""What the OpenAPI document says of the service as a whole: its parts, and its errors."""

from typing import Final

TAGS: Final = {
    "chat": "Saying something, following the turn that it becomes, steering and stopping it, "
    "answering what it asks.",
    "conversations": "What was said, and in which branches.",
    "tasks": "The to-do list itself, by the same rules as the assistant's tools.",
    "search": "Messages, titles and tasks, by words and by meaning.",
    "AI SDK": "The same turns for front ends that use `useChat`.",
    "AG-UI": "The same turns, for front ends of that protocol.",
    "mcp": "The same tools for MCP clients from outside.",
    "openai": "The same turns for clients of OpenAI's interfaces: responses and completions.",
    "schedules": "Messages that are said at a time or by a rule.",
    "webhooks": "Being told of turns and tasks, signed.",
    "sharing": "Links by which anybody reads a conversation as it was.",
    "limits": "What is left of the rate limits.",
    "usage": "Model calls, tokens and cost by day.",
    "data": "Export, import, deletion.",
    "accounts": "Built-in accounts, for those without an identity provider.",
    "health": "Of one process, for whoever runs it.",
}
"""The parts, as they are best read; what is not among them comes behind."""

ERRORS: Final = """\
Every answer that is not a success has the form of `ErrorBody`, or of RFC 9457 with
`Accept: application/problem+json`; its `error` says what to do next. Any address answers 405
`method_not_allowed` to a method that it does not take."""


def tags() -> list[dict[str, str]]:
    """The parts of the service, as OpenAPI has them."""
    return [{"name": name, "description": description} for name, description in TAGS.items()]
