"""What a message can ask for. Values only; nothing here knows which tasks exist."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["all", "pending", "completed"]
"""The filters of `list_tasks`."""

Naming = Literal["words", "ids", "places", "pronoun", "every", "newest", "other", "vague"]
"""How a task was named: by words, number, place in the list, "it", a whole group, ..."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Tasks as the user named them.

    `parts` are the pieces when the words can also be read as several names ("the gym task and
    the yoga task"). `numbers` are ids, or places from 1 (from the end when negative). `status`
    narrows places and groups. `plural` tells "the finished ones" from "the finished one".
    """

    naming: Naming
    words: str = ""
    numbers: tuple[int, ...] = ()
    status: Status = "all"
    plural: bool = False
    parts: tuple["Reference", ...] = ()
    excluded: "Reference | None" = None
    context: str = ""


PRONOUN = Reference("pronoun")
"""The task spoken of, when nothing else is named."""


@dataclass(frozen=True, slots=True)
class Add:
    """Put a task on the list. `soft` when only a duty was stated ("I need to ...")."""

    title: str
    description: str | None = None
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Complete or delete tasks.

    `told` when a completion was reported rather than asked for; `certain` is false for a report
    that need not be about a task at all ("I bought a car").
    """

    verb: Literal["complete", "delete"]
    target: Reference
    told: bool = False
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Edit:
    """New words for one task: set a field, replace a part of the title, or append.

    `swapped` when only the wrong words were named: "it says 12 but should say 20".
    """

    target: Reference
    title: str | None = None
    description: str | None = None
    replaced: str | None = None
    appended: bool = False
    dated: bool = False
    swapped: bool = False


@dataclass(frozen=True, slots=True)
class Reword:
    """An edit that can be cut in several ways ("change talk to Bo to talk to Al")."""

    readings: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Show:
    """List tasks; `words` narrows the list, `counted` asks how many."""

    status: Status = "all"
    words: str = ""
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """A question about one task: is it there, is it done."""

    target: Reference


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that may be meant as a task, or as a deletion; to be confirmed first."""

    verb: Literal["add", "delete"]
    words: str
    target: Reference = PRONOUN


Topic = Literal[
    "hello",
    "thanks",
    "bye",
    "help",
    "howto",
    "kept",
    "noted",
    "undo",
    "reopen",
    "unsupported",
    "nothing",
    "yes",
    "no",
    "incomplete",
    "hypothetical",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class Say:
    """Nothing to do but answer. `about` is the verb that a "howto" or "incomplete" is about."""

    topic: Topic
    about: str = ""


Intent = Add | Change | Edit | Reword | Show | Ask | Offer | Say


@dataclass(frozen=True, slots=True)
class Understanding:
    """A message's intents in the order said.

    `bare` names tasks when the message is only a name ("the sales one"), the answer to a
    question; `again` when it continues the last request ("and the second one too").
    `text` is the message without opening and closing courtesies. `context` is the last thing
    spoken of; `meant` when the message corrects the one before ("I meant ...").
    """

    intents: tuple[Intent, ...]
    text: str
    bare: Reference | None = None
    again: bool = False
    context: str = ""
    meant: bool = False
