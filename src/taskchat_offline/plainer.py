"""Openings and asides said more plainly, before a message is cut into clauses."""

import re

from taskchat_offline.intents import Add

_HEAD = r"^(\s*(?:(?:ok|okay|so|oh|ah|hey|hi|um|right|well|please|and|also)[ ,]+)*)"
_REMOVE = r"(?:remove|delete|erase|drop|scrap|cancel|bin)"
_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), plain)
    for pattern, plain in (
        (rf"{_HEAD}(?:i(?:['’]ve)? |we(?:['’]ve)? )?(?:gotta|got to|must|need to|have to|hafta|"
         r"better) (?:remember|not forget) to (?=\w)", r"\1remind me to "),
        (rf"{_HEAD}(?:a )?(?:reminder|note to self|todo|to-do|new task|task) ?(?:-|–|—|=|\.\.\.?) ?"
         r"(?=\w)", r"\1new task: "),
        (rf"{_HEAD}((?:(?:can|could|would) you )?)(?:crate|creat|craete|creaet|cretae|cerate|maek|"
         r"mkae|ceate|creste) (an?|me an?|the|new) "
         r"(?=(?:new )?(?:task|taks|tsak|tsk|to-?do|reminder|item|entry)\b)", r"\1\2create \3 "),
        (r"\b(a|new|another|the|this|my) (?:taks|tsak|tsk|taask|taskk|atsk) (?=to\b|called|named|"
         r"for"
         r"|:)", r"\1 task "),
        (rf"{_HEAD}({_REMOVE}) please (?=\w)", r"\1please \2 "),
        (rf"{_HEAD}(?:permanently|completely|fully|entirely) ({_REMOVE}) (?=\w)", r"\1\2 "),
        (rf"{_HEAD}((?:please )?{_REMOVE} [^,;.?!\n]+?)( please)?[,;.] ?(?:(?:it['’]?s|it is|is|"
         r"that['’]s) (?:not|no longer) (?:necessary|needed|required|relevant|useful)"
         r"(?: any ?more| more| now| any longer)?|i['’]m not (?!sure|certain|convinced|ready|"
         r"kidding|done|finished)[^,;.?!]{2,40})[.!]*\s*$", r"\1\2"),
        (r"^((?:hey |oh |ok |so )?(?:i|we)(?:['’]ve)? \w[^?!\n]*?)[,;.-]+ ?(?:but |and |sorry,? ?)?"
         r"(?:i )?(?:just )?forgot to (?:tell you|mention(?: it)?|"
         r"say(?: so)?|let you know|tick it(?: off)?)[.!]*\s*$", r"\1"),
        (r"\b(first|last|second|third|top|bottom|next) (one|task|item) (?:on|in) (?:there|it|that|"
         r"that list)\b", r"\1 \2"),
    )
)  # fmt: skip
_FIELD_BY_FIELD = re.compile(
    r"^\s*(?:(?:please|can you|could you|ok|hey|so)[ ,]+)*(?:add|create|make|i['’]d like|i want|"
    r"put in|give me|new)? ?(?:an? |another )?(?:new )?(?:task|to-?do|item|reminder|entry)"
    r"(?: (?:please|for me))?(?:[.:,;\n -]+| (?:with|whose) )(?:the |its )?(?:title|name)\b"
    r"(?: (?:is|should be|being|of)|[:=])? ?(?P<title>[^\n]+?)[.,;\n]+ ?(?:and )?(?:the |its )?"
    r"(?:description|details?|notes?)\b(?: (?:is|should be|being)|[:=])?"
    r" ?(?P<described>[^\n]+?)\s*$",
    re.IGNORECASE,
)
_TITLED = re.compile(
    r"^\s*(?:(?:please|can you|could you|ok|hey|so)[ ,]+)*(?:add|create|make|i['’]d like|i want|"
    r"i need|put in|set up) (?:me )?an? (?:new )?(?:task|to-?do|item|reminder|entry) (?:titled|"
    r"called|named|entitled) (?P<quote>[\"'“‘])(?P<title>[^\"“”\n]{1,180}?)[\"'”’][.,;]? ?(?:and |"
    r"with )?(?:the |its |a )?(?:description|details?|notes?)(?: (?:is|should be|of)|[:=])? ?"
    r"(?P<described>[^\n]+?)\s*$",
    re.IGNORECASE,
)

_FURTHER = re.compile(
    r"^[\"'“‘].*[\"'”’].*\w[^\"'”’]*$|[\"”] and |\b(?:and|then|also) (?:an?|another|add|create|"
    r"delete|mark|remind)\b|"
    r"[.;!?] (?:and |then |also |please )*(?:add|create|delete|mark|remind|rename|show|another)\b",
    re.IGNORECASE,
)
"""What tells that more is asked for after the description."""


def plainer(text: str) -> str:
    """The message with the openings and asides that the grammar knows by another name."""
    for pattern, plain in _RULES:
        text = pattern.sub(plain, text, count=1)
    return text


def filled_in(text: str) -> Add | None:
    """“A to-do. Title is A. Description is B”: a form filled in, its description kept whole."""
    found = _FIELD_BY_FIELD.match(text) or _TITLED.match(text)
    if found is None or _FURTHER.search(found["described"]):
        return None
    title, described = (found[name].strip().strip("\"'“”‘’") for name in ("title", "described"))
    described = described.rstrip(".") if described.count(".") == 1 else described
    return Add(title, described) if title and described else None
