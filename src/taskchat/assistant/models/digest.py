"""What a person said, shortened by rule: the offline model's summary of a long conversation."""

from typing import Final

SAID: Final = "User: "
BEFORE: Final = "Summary of what came before: "

LINE_CHARS_MAX: Final = 90
DIGEST_CHARS_MAX: Final = 1200
"""The newest are kept where there is more: what was said last is asked about first."""


def digest(text: str) -> str:
    """What a person said, in order, one line a message.

    Args:
        text: A conversation with a speaker in front of each line, and perhaps an older digest.
    """
    lines: list[str] = []
    older = False
    for line in text.splitlines():
        if line.startswith(BEFORE):
            older = True
            lines.append(line.removeprefix(BEFORE))
        elif line.startswith(SAID):
            older = False
            said = " ".join(line.removeprefix(SAID).split())
            clipped = said if len(said) <= LINE_CHARS_MAX else f"{said[: LINE_CHARS_MAX - 1]}…"
            lines.append(f"- They said: {clipped}")
        elif older and line.strip():
            lines.append(line)
    while len(lines) > 1 and sum(len(line) + 1 for line in lines) > DIGEST_CHARS_MAX:
        del lines[0]
    return "\n".join(lines) or "- Nothing was said."
