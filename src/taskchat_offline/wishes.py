"""Wishes to see tasks that are whole messages of their own, in words that are not tasks' names."""

import re
from collections.abc import Sequence

from taskchat_offline.intents import Show, Status
from taskchat_offline.normalise import Token

_OPENING = re.compile(
    r"^(?:(?:so|um|uh|er|erm|hmm|ok|okay|hey|hi|hello|well|and|right|please|kindly|just|quick|"
    r"now|oh|like|alright|can|could|would|will|you|i'd like to|let's|let me|i want to)\s+)+"
)
_CLOSING = re.compile(
    r"(?: (?:please|thanks|thank you|for me|now|then|ta|cheers|mate|again|quickly|today|at all|"
    r"or can i .*|or am i .*|or are we .*|or is that .*))+$"
)
_NOUN = r"(?:tasks?|to-dos|todos|items|things|ones|stuff|jobs|chores|entries|reminders)"
_ALL = r"(?:list|lists|everything|tasks|to-dos|todos|items|the lot|to-do list)"
_WHICH = rf"(?:which|what)(?: (?:ones|{_NOUN}|of (?:these|them|those|my {_NOUN}|the {_NOUN})))?"
_DOING = (
    r"(?:take care of|deal with|do|finish|complete|sort|sort out|handle|tackle|get done|"
    r"get through|work on|tick off|see to|attend to)"
)
_DONE = (
    r"(?:ticked(?: off)?|checked(?: off)?|crossed(?: off| out)?|done|finished|completed|complete|"
    r"closed|knocked (?:off|out)|got done|dealt with|sorted)"
)
_STATES: dict[str, Status] = {
    "completed": "completed", "complete": "completed", "done": "completed",
    "finished": "completed", "pending": "pending", "incomplete": "pending", "open": "pending",
    "unfinished": "pending", "undone": "pending", "outstanding": "pending",
    "not done": "pending", "active": "pending", "all": "all", "everything": "all",
}  # fmt: skip
_STATE = "|".join(sorted(_STATES, key=len, reverse=True))
_SEE = r"(?:show|tell|list|give|see|print|dump|view|display|check|read)(?: out)?(?: me)?"
_DUMP = r"(?:dump|print|print off|print out|spit out|output|echo|pull up|bring up|throw up|filter)"
_GLUE = r"(?:and|\+|&|plus|or|,|both|too|also|as well as|as well|the|ones|tasks|only|just|items)"

_ALL_OF_IT = re.compile(
    rf"{_DUMP}(?: out)?(?: me)?(?: (?:all|of|the|my|whole|full|entire|complete))* {_ALL}"
    rf"(?P<tail>(?: (?:{_GLUE}|{_STATE}))*)"
)
_SOME_OF_IT = re.compile(
    rf"{_DUMP}(?: out)?(?: me)?(?: (?:by|for|to|on|:|-|=|status|the|my|only|just|all|list|tasks))* "
    rf"(?P<state>{_STATE})(?: (?:only|{_NOUN}))*"
)
_PENDING = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:is there |have i got |do i have |got |there's )?any(?:thing|{_NOUN}| {_NOUN})?(?:"
        rf" else)?"
        rf" (?:left|still|remaining|outstanding)(?: (?:for me|for us|on my list|on the list))?"
        rf"(?: (?:to|i have to|i need to|i've got to) {_DOING})?",
        rf"(?:{_SEE} )?(?:{_WHICH}|the {_NOUN}|the ones|what's|what is)(?: is| are| that's| that"
        rf" are|"
        rf" have| has)?(?: i)? (?:not|haven't|isn't|aren't|hasn't|have not)(?: i)?(?: been)?(?:"
        rf" yet)?"
        rf" (?:been )?{_DONE}(?: yet| so far)?",
        rf"(?:{_SEE} )?{_WHICH} (?:do )?(?:i|we)(?: do)?(?: still)? (?:still )?(?:need|have|got|"
        rf"ought)"
        rf" to {_DOING}(?: still)?",
        rf"(?:{_SEE} )?(?:all )?(?:of )?(?:my |the )?{_NOUN} (?:that|which) (?:are|is|have|i have)"
        rf"(?: still)? (?:not|yet)(?: (?:been|to be))? {_DONE}(?: yet)?",
        rf"(?:{_SEE} )?(?:all )?(?:my |the )?{_NOUN} (?:that|which)? ?(?:aren't|isn't|haven't"
        rf" been|i"
        rf" haven't) {_DONE}(?: yet)?",
    )
)
_COMPLETED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:{_SEE} )?(?:{_WHICH}|what've|what all|everything|the {_NOUN})(?: that)?(?: have|"
        rf" had)?"
        rf" (?:i|i've|we|we've)(?: have)?(?: already| just| managed to)? {_DONE}"
        rf"(?: so far| already| today| this week)*",
        rf"(?:{_SEE} )?{_WHICH} (?:did|have) (?:i|we)(?: already)? (?:manage to|managed to|get to|"
        rf"got to)?(?: already)? ?{_DOING}(?: so far| already| today)*",
        rf"(?:{_SEE} )?{_WHICH} (?:did|have) (?:i|we)(?: already)? (?:manage|managed)",
    )
)


def wish_of(tokens: Sequence[Token]) -> Show | None:
    """The list that the whole message asks for, or None."""
    if not 2 <= len(tokens) <= 24 or any(token.kind in {"quote", "rest"} for token in tokens):
        return None
    said = " ".join(t.key for t in tokens if t.key not in {"?", ".", "!", "…", ","})
    said = said.replace("to dos", "to-dos").replace("what've i", "what have i")
    said = _CLOSING.sub("", _OPENING.sub("", f"{said} ").strip())
    if (whole := _ALL_OF_IT.fullmatch(said)) is not None:
        named = {_STATES[word] for word in re.findall(rf"\b(?:{_STATE})\b", whole["tail"])}
        return Show(named.pop() if len(named) == 1 else "all")
    if (some := _SOME_OF_IT.fullmatch(said)) is not None:
        return Show(_STATES[some["state"]])
    if any(pattern.fullmatch(said) for pattern in _PENDING):
        return Show("pending")
    if any(pattern.fullmatch(said) for pattern in _COMPLETED):
        return Show("completed")
    return None
